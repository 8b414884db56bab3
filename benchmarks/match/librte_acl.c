/* The peer: DPDK's packet classifier, librte_acl, on rules of three fields: remote address, port, protocol.
 *
 * cc -O3 librte_acl.c $(pkg-config --cflags --libs libdpdk) -o librte_acl && ./librte_acl CASE ANSWERS
 *
 * CASE holds, in the machine's byte order: uint32 family, rules, flows; the rules (struct rule); the flows as columns:
 * protocol uint8, port uint16, address uint32 or two uint64 (high, low). Flows become keys in the library's own layout
 * (big-endian, fields aligned to four bytes), 12 or 24 bytes each, before anything is timed.
 *
 * Prints "SECONDS BYTES PEAK" of building (CPU seconds, bytes of the run-time tables, resident bytes at the peak beyond
 * those before), then answers each line of its input by one line:
 *   answer ALGORITHM   classify everything, write rule + 1 of each flow (0: none) to ANSWERS as uint32; prints "0"
 *   time ALGORITHM     classify everything in batches of 256; prints CPU seconds
 *   pack               make all keys once more from the columns; prints CPU seconds
 * An algorithm that this CPU does not have is answered by "unsupported".
 */
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <rte_acl.h>
#include <rte_eal.h>
#include <rte_malloc.h>

#define BATCH 256

struct rule {
    uint64_t hi, lo;                         /* first address; IPv4 in lo */
    int32_t length, protocol, first, last;   /* protocol -1: all */
    int32_t priority, unused;                /* the highest decides */
};

struct key4 { uint8_t protocol, unused[3]; uint32_t address; uint16_t port, none; };
struct key6 { uint8_t protocol, unused[3]; uint32_t address[4]; uint16_t port, none; };

RTE_ACL_RULE_DEF(acl_rule, 7);

struct flows {
    uint32_t family, count;
    uint8_t *protocol;
    uint16_t *port;
    void *address;
};

static double cpu(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void fail(const char *what) {
    fprintf(stderr, "%s\n", what);
    exit(1);
}

static void *load(FILE *file, size_t bytes) {
    void *data = malloc(bytes ? bytes : 1);
    if (!data || fread(data, 1, bytes, file) != bytes) fail("the case ends too early");
    return data;
}

static size_t heap(void) {
    struct rte_malloc_socket_stats stats;
    rte_malloc_get_socket_stats(0, &stats);
    return stats.heap_allocsz_bytes;
}

/* A line of /proc/self/status, in bytes. */
static size_t memory(const char *name) {
    char line[128];
    size_t kilobytes = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file))
        if (!strncmp(line, name, strlen(name))) sscanf(line + strlen(name) + 1, "%zu", &kilobytes);
    if (file) fclose(file);
    return kilobytes * 1024;
}

/* One byte first, as the library wants it; then the address in words of four bytes; then the port and two bytes
 * that nothing is asked of, which complete the last word. */
static struct rte_acl_config fields(uint32_t words) {
    struct rte_acl_config config = {.num_categories = 1, .num_fields = words + 3};
    struct rte_acl_field_def *def = config.defs;
    *def++ = (struct rte_acl_field_def){RTE_ACL_FIELD_TYPE_BITMASK, 1, 0, 0, 0};
    for (uint32_t word = 0; word < words; word++)
        *def++ = (struct rte_acl_field_def){RTE_ACL_FIELD_TYPE_MASK, 4, 1 + word, 1 + word, 4 + 4 * word};
    *def++ = (struct rte_acl_field_def){RTE_ACL_FIELD_TYPE_RANGE, 2, words + 1, words + 1, 4 + 4 * words};
    *def++ = (struct rte_acl_field_def){RTE_ACL_FIELD_TYPE_BITMASK, 2, words + 2, words + 1, 6 + 4 * words};
    return config;
}

static struct rte_acl_ctx *build(const struct rule *rules, uint32_t count, uint32_t words, size_t *bytes) {
    struct rte_acl_param parameters = {
        .name = "rules", .socket_id = SOCKET_ID_ANY, .rule_size = RTE_ACL_RULE_SZ(words + 3), .max_rule_num = count};
    struct rte_acl_config config = fields(words);
    struct rte_acl_ctx *context = rte_acl_create(&parameters);
    if (!context) fail("rte_acl_create failed");
    for (uint32_t i = 0; i < count; i++) {
        const struct rule *rule = rules + i;
        struct acl_rule one = {.data = {.category_mask = 1, .priority = rule->priority, .userdata = i + 1}};
        one.field[0].value.u8 = rule->protocol < 0 ? 0 : (uint8_t)rule->protocol;
        one.field[0].mask_range.u8 = rule->protocol < 0 ? 0 : 0xff;
        for (uint32_t word = 0; word < words; word++) {
            int left = rule->length - 32 * (int)word;
            uint64_t half = words == 1 ? rule->lo << 32 : word < 2 ? rule->hi : rule->lo;
            one.field[1 + word].value.u32 = (uint32_t)(word & 1 ? half : half >> 32);
            one.field[1 + word].mask_range.u32 = left < 0 ? 0 : left > 32 ? 32 : (uint32_t)left;
        }
        one.field[1 + words].value.u16 = (uint16_t)rule->first;
        one.field[1 + words].mask_range.u16 = (uint16_t)rule->last;
        if (rte_acl_add_rules(context, (struct rte_acl_rule *)&one, 1)) fail("rte_acl_add_rules failed");
    }
    size_t before = heap();
    if (rte_acl_build(context, &config)) fail("rte_acl_build failed");
    *bytes = heap() - before;
    return context;
}

static void pack(const struct flows *flows, uint8_t *keys) {
    if (flows->family == 4) {
        struct key4 *key = (struct key4 *)keys;
        const uint32_t *address = flows->address;
        for (uint32_t i = 0; i < flows->count; i++) {
            key[i].protocol = flows->protocol[i];
            key[i].address = __builtin_bswap32(address[i]);
            key[i].port = __builtin_bswap16(flows->port[i]);
        }
        return;
    }
    struct key6 *key = (struct key6 *)keys;
    const uint64_t *address = flows->address;
    for (uint32_t i = 0; i < flows->count; i++) {
        key[i].protocol = flows->protocol[i];
        for (int half = 0; half < 2; half++) {
            uint64_t bytes = __builtin_bswap64(address[2 * i + half]);
            memcpy(key[i].address + 2 * half, &bytes, 8);
        }
        key[i].port = __builtin_bswap16(flows->port[i]);
    }
}

/* All flows once; the results of a batch go to `kept` if there is one. */
static void classify(
    const struct rte_acl_ctx *context, const uint8_t *keys, size_t stride, uint32_t count,
    enum rte_acl_classify_alg algorithm, uint32_t *kept) {
    const uint8_t *data[BATCH];
    uint32_t results[BATCH];
    for (uint32_t start = 0; start < count; start += BATCH) {
        uint32_t here = count - start < BATCH ? count - start : BATCH;
        for (uint32_t i = 0; i < here; i++) data[i] = keys + stride * (start + i);
        if (rte_acl_classify_alg(context, data, kept ? kept + start : results, here, 1, algorithm))
            fail("rte_acl_classify_alg failed");
    }
}

static const struct { const char *name; enum rte_acl_classify_alg number; } ALGORITHMS[] = {
    {"scalar", RTE_ACL_CLASSIFY_SCALAR},       {"sse", RTE_ACL_CLASSIFY_SSE},
    {"avx2", RTE_ACL_CLASSIFY_AVX2},           {"avx512x16", RTE_ACL_CLASSIFY_AVX512X16},
    {"avx512x32", RTE_ACL_CLASSIFY_AVX512X32},
};

static int algorithm_of(const char *name) {
    for (size_t i = 0; i < sizeof ALGORITHMS / sizeof *ALGORITHMS; i++)
        if (!strcmp(name, ALGORITHMS[i].name)) return ALGORITHMS[i].number;
    return -1;
}

static void serve(
    struct rte_acl_ctx *context, const struct flows *flows, uint8_t *keys, size_t stride, const char *answers) {
    char line[64], command[16], name[32];
    while (fgets(line, sizeof line, stdin)) {
        int words = sscanf(line, "%15s %31s", command, name);
        if (words == 1 && !strcmp(command, "pack")) {
            double begin = cpu();
            pack(flows, keys);
            printf("%.9f\n", cpu() - begin);
        } else if (words == 2) {
            int algorithm = algorithm_of(name);
            if (algorithm < 0 || rte_acl_set_ctx_classify(context, algorithm)) {
                printf("unsupported\n");
            } else if (!strcmp(command, "time")) {
                double begin = cpu();
                classify(context, keys, stride, flows->count, algorithm, NULL);
                printf("%.9f\n", cpu() - begin);
            } else {
                uint32_t *kept = malloc(4 * (size_t)flows->count + 4);
                classify(context, keys, stride, flows->count, algorithm, kept);
                FILE *file = fopen(answers, "wb");
                if (!file || fwrite(kept, 4, flows->count, file) != flows->count || fclose(file))
                    fail("the answers cannot be written");
                free(kept);
                printf("0\n");
            }
        } else {
            fail("unknown command");
        }
        fflush(stdout);
    }
}

/* Start DPDK without huge pages and devices; it pins the process to a core, which is undone. */
static void start(char *program) {
    char *options[] = {program, "--no-huge", "--no-pci", "--no-telemetry", "--no-shconf", "--log-level=error",
                       "--force-max-simd-bitwidth=512", "-m", "3072"};
    cpu_set_t cores;
    sched_getaffinity(0, sizeof cores, &cores);
    if (rte_eal_init(sizeof options / sizeof *options, options) < 0) fail("rte_eal_init failed");
    sched_setaffinity(0, sizeof cores, &cores);
}

int main(int count, char **arguments) {
    if (count != 3) { fprintf(stderr, "usage: librte_acl CASE ANSWERS\n"); return 64; }
    start(arguments[0]);
    FILE *file = fopen(arguments[1], "rb");
    if (!file) fail("the case cannot be read");
    uint32_t *head = load(file, 12);
    struct flows flows = {.family = head[0], .count = head[2]};
    struct rule *rules = load(file, sizeof *rules * head[1]);
    flows.protocol = load(file, flows.count);
    flows.port = load(file, 2 * (size_t)flows.count);
    flows.address = load(file, (flows.family == 4 ? 4 : 16) * (size_t)flows.count);
    fclose(file);
    size_t stride = flows.family == 4 ? sizeof(struct key4) : sizeof(struct key6), bytes;
    uint8_t *keys = calloc((size_t)flows.count + 1, stride);
    pack(&flows, keys);
    size_t before = memory("VmRSS");
    double begin = cpu();
    struct rte_acl_ctx *context = build(rules, head[1], flows.family == 4 ? 1 : 4, &bytes);
    double seconds = cpu() - begin;
    printf("%.9f %zu %zu\n", seconds, bytes, memory("VmHWM") - before);
    fflush(stdout);
    serve(context, &flows, keys, stride, arguments[2]);
    return 0;
}
