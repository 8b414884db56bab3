/* The ceiling: an Ethernet capture read with read(2) into one buffer of 512 KB, used again and again, and walked in C.
 *
 * cc -O3 -march=native read_loop.c -o read_loop && ./read_loop headers|tuples FILE
 * headers: every record's header, and no more; tuples: the five-tuples, as libpcap_loop.c takes them. Prints packets,
 * their sum (of lengths; over five-tuples as there), CPU seconds. Little-endian classic pcap of Ethernet only.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ROOM (512 << 10)

static unsigned char buffer[ROOM];
static uint64_t packets, sum;

static inline uint16_t be16(const unsigned char *p) { uint16_t v; memcpy(&v, p, 2); return __builtin_bswap16(v); }
static inline uint32_t be32(const unsigned char *p) { uint32_t v; memcpy(&v, p, 4); return __builtin_bswap32(v); }
static inline uint64_t be64(const unsigned char *p) { uint64_t v; memcpy(&v, p, 8); return __builtin_bswap64(v); }

static inline void tuple(const unsigned char *p, uint32_t left) {
    uint32_t at = 14;
    if (left < at) return;
    uint16_t type = be16(p + 12);
    while (type == 0x8100 && left >= at + 4) { type = be16(p + at + 2); at += 4; }
    uint64_t src_hi = 0, src_lo, dst_hi = 0, dst_lo;
    uint8_t protocol;
    const unsigned char *ip = p + at;
    if (type == 0x0800) {
        if (left < at + 20) return;
        protocol = ip[9];
        src_lo = be32(ip + 12);
        dst_lo = be32(ip + 16);
        at += (ip[0] & 15) * 4;
    } else if (type == 0x86dd) {
        if (left < at + 40) return;
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
    packets++;
    sum += src_lo + 3 * dst_lo + 5 * src_hi + 7 * dst_hi + 11 * (uint64_t)source + 13 * (uint64_t)destination
         + 17 * (uint64_t)protocol;
}

/* All whole records of the buffer; returns how many bytes they took. */
static inline size_t walk(size_t held, int tuples) {
    size_t at = 0;
    while (held - at >= 16) {
        uint32_t length;
        memcpy(&length, buffer + at + 8, 4);
        if (held - at - 16 < length) break;
        if (tuples) {
            tuple(buffer + at + 16, length);
        } else {
            packets++;
            sum += length;
        }
        at += 16 + (size_t)length;
    }
    return at;
}

int main(int count, char **arguments) {
    struct timespec begin, end;
    if (count != 3) { fprintf(stderr, "usage: read_loop headers|tuples FILE\n"); return 64; }
    int tuples = !strcmp(arguments[1], "tuples"), file = open(arguments[2], O_RDONLY);
    uint32_t head[6];
    if (file < 0 || read(file, head, sizeof head) != sizeof head || head[0] != 0xA1B2C3D4 || head[5] != 1) {
        fprintf(stderr, "not a little-endian pcap file of Ethernet: %s\n", arguments[2]);
        return 1;
    }
    size_t held = 0;
    ssize_t got;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &begin);
    while ((got = read(file, buffer + held, ROOM - held)) > 0) {
        held += (size_t)got;
        size_t used = tuples ? walk(held, 1) : walk(held, 0);
        held -= used;
        memmove(buffer, buffer + used, held);
    }
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
    printf("%llu %llu %.6f\n", (unsigned long long)packets, (unsigned long long)sum,
           (double)(end.tv_sec - begin.tv_sec) + 1e-9 * (double)(end.tv_nsec - begin.tv_nsec));
    close(file);
    return got < 0;
}
