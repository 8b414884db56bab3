/* The peer: five-tuples of an Ethernet capture by libpcap, in C.
 *
 * cc -O3 -march=native libpcap_loop.c -lpcap -o libpcap_loop && ./libpcap_loop FILE
 * prints: IP packets, sum over them of src + 3 dst + 11 source port + 13 destination port + 17 protocol (addresses
 * as two 64-bit halves, high ones times 5 and 7), CPU seconds in the loop. The sum is what benchmarks compare, and keeps
 * the compiler from dropping the work.
 */
#include <pcap/pcap.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

struct sum { uint64_t packets, checksum; };

static inline uint16_t be16(const u_char *p) { uint16_t v; memcpy(&v, p, 2); return __builtin_bswap16(v); }
static inline uint32_t be32(const u_char *p) { uint32_t v; memcpy(&v, p, 4); return __builtin_bswap32(v); }
static inline uint64_t be64(const u_char *p) { uint64_t v; memcpy(&v, p, 8); return __builtin_bswap64(v); }

static void packet(u_char *user, const struct pcap_pkthdr *h, const u_char *p) {
    struct sum *sum = (struct sum *)user;
    uint32_t left = h->caplen, at = 14;
    if (left < at) return;
    uint16_t type = be16(p + 12);
    while (type == 0x8100 && left >= at + 4) { type = be16(p + at + 2); at += 4; }
    uint64_t src_hi = 0, src_lo, dst_hi = 0, dst_lo;
    uint8_t protocol;
    if (type == 0x0800) {
        if (left < at + 20) return;
        const u_char *ip = p + at;
        protocol = ip[9];
        src_lo = be32(ip + 12);
        dst_lo = be32(ip + 16);
        at += (ip[0] & 15) * 4;
    } else if (type == 0x86dd) {
        if (left < at + 40) return;
        const u_char *ip = p + at;
        protocol = ip[6];
        src_hi = be64(ip + 8);
        src_lo = be64(ip + 16);
        dst_hi = be64(ip + 24);
        dst_lo = be64(ip + 32);
        at += 40;
    } else {
        return;
    }
    uint16_t source = 0, destination = 0;
    if ((protocol == 6 || protocol == 17) && left >= at + 4) { source = be16(p + at); destination = be16(p + at + 2); }
    sum->packets++;
    sum->checksum += src_lo + 3 * dst_lo + 5 * src_hi + 7 * dst_hi + 11 * (uint64_t)source
                   + 13 * (uint64_t)destination + 17 * (uint64_t)protocol;
}

int main(int count, char **arguments) {
    char error[PCAP_ERRBUF_SIZE];
    struct timespec begin, end;
    struct sum sum = {0, 0};
    if (count != 2) { fprintf(stderr, "usage: libpcap_loop FILE\n"); return 64; }
    pcap_t *capture = pcap_open_offline(arguments[1], error);
    if (!capture) { fprintf(stderr, "%s\n", error); return 1; }
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &begin);
    if (pcap_loop(capture, -1, packet, (u_char *)&sum) < 0) { fprintf(stderr, "%s\n", pcap_geterr(capture)); return 1; }
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
    printf("%llu %llu %.6f\n", (unsigned long long)sum.packets, (unsigned long long)sum.checksum,
           (double)(end.tv_sec - begin.tv_sec) + 1e-9 * (double)(end.tv_nsec - begin.tv_nsec));
    pcap_close(capture);
    return 0;
}
