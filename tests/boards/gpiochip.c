/* A GPIO chip that is not there, for the real lgpio: loaded before the C library, it answers for /dev/gpiochip0 and keeps what is done.
 *
 * GPIO_LOG names a file that is mapped: 64 bytes of head (a count), then records of 16 bytes: nanoseconds (u64), line (u32), what (u32):
 *   0, 1     written low, high         16, 17   claimed as output, low or high         32   claimed as input         48   let go of
 * A line that is claimed already is refused, as the kernel refuses it. When the process ends, nothing is written: the kernel of a Pi
 * leaves outputs as they are. Source: linux/gpio.h, version 2 of the interface.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/gpio.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { LINES = 58, MOST_RECORDS = 1 << 20, MOST_CLAIMS = 256, OUTPUT = 16, INPUT = 32, RELEASED = 48 };

struct record {
    uint64_t at_ns;
    uint32_t line, what;
};

struct claim {
    int fd, count;
    uint32_t lines[64];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint32_t *written;
static struct record *records;
static struct claim claims[MOST_CLAIMS];
static int claim_count;
static uint64_t flags[LINES];
static uint8_t level[LINES], taken[LINES];

static void *next(const char *name) { return dlsym(RTLD_NEXT, name); }

static void note(uint32_t line, uint32_t what) {
    struct timespec now;
    if (!records) return;
    clock_gettime(CLOCK_MONOTONIC, &now);
    uint32_t index = __sync_fetch_and_add(written, 1);
    if (index < MOST_RECORDS)
        records[index] = (struct record){(uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec, line, what};
}

static void begin(void) {
    static int (*real_open)(const char *, int, ...);
    size_t size = 64 + sizeof(struct record) * (size_t)MOST_RECORDS;
    if (records) return;
    real_open = next("open");
    int log = real_open(getenv("GPIO_LOG"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (log < 0 || ftruncate(log, (off_t)size)) abort();
    char *base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, log, 0);
    if (base == MAP_FAILED) abort();
    written = (uint32_t *)base;
    records = (struct record *)(base + 64);
}

static int opened(const char *name, const char *path, int how, mode_t mode) {
    int (*real)(const char *, int, ...) = next(name);
    if (strncmp(path, "/dev/gpiochip", 13)) return real(path, how, mode);
    if (strcmp(path, "/dev/gpiochip0")) {
        errno = ENOENT;
        return -1;
    }
    begin();
    return memfd_create("gpiochip", MFD_CLOEXEC);
}

#define OPEN(name) \
    int name(const char *path, int how, ...) { \
        va_list rest; \
        va_start(rest, how); \
        mode_t mode = how & (O_CREAT | __O_TMPFILE) ? va_arg(rest, mode_t) : 0; \
        va_end(rest); \
        return opened(#name, path, how, mode); \
    }
OPEN(open)
OPEN(open64)

int close(int fd) {
    int (*real)(int) = next("close");
    pthread_mutex_lock(&lock);
    for (int i = 0; i < claim_count; i++)
        if (fd >= 0 && claims[i].fd == fd) {
            for (int k = 0; k < claims[i].count; k++) {
                taken[claims[i].lines[k]] = 0;
                note(claims[i].lines[k], RELEASED);
            }
            claims[i].fd = -1;
        }
    pthread_mutex_unlock(&lock);
    return real(fd);
}

static int claim(struct gpio_v2_line_request *wish) {
    uint64_t values = 0;
    int output = !!(wish->config.flags & GPIO_V2_LINE_FLAG_OUTPUT), place = claim_count;
    for (uint32_t k = 0; k < wish->num_lines; k++)
        if (wish->offsets[k] >= LINES || taken[wish->offsets[k]]) {
            errno = EBUSY;
            return -1;
        }
    for (int i = 0; i < claim_count; i++)
        if (claims[i].fd < 0) place = i;
    if (place == MOST_CLAIMS) abort();
    if (place == claim_count) claim_count++;
    for (uint32_t k = 0; k < wish->config.num_attrs; k++)
        if (wish->config.attrs[k].attr.id == GPIO_V2_LINE_ATTR_ID_OUTPUT_VALUES) values = wish->config.attrs[k].attr.values;
    wish->fd = eventfd(0, EFD_CLOEXEC);
    claims[place].fd = wish->fd;
    claims[place].count = (int)wish->num_lines;
    for (uint32_t k = 0; k < wish->num_lines; k++) {
        uint32_t line = wish->offsets[k];
        claims[place].lines[k] = line;
        taken[line] = 1;
        flags[line] = wish->config.flags;
        level[line] = output ? (values >> k) & 1 : 0;
        note(line, output ? OUTPUT + level[line] : INPUT);
    }
    return 0;
}

static int handled(int fd, unsigned long request, void *data) {
    if (request == GPIO_GET_CHIPINFO_IOCTL) {
        struct gpiochip_info *chip = data;
        *chip = (struct gpiochip_info){.name = "gpiochip0", .label = "pinctrl-bcm2711", .lines = LINES};
        return 0;
    }
    if (request == GPIO_V2_GET_LINEINFO_IOCTL) {
        struct gpio_v2_line_info *info = data;
        uint32_t line = info->offset;
        *info = (struct gpio_v2_line_info){.offset = line, .flags = flags[line] | (taken[line] ? GPIO_V2_LINE_FLAG_USED : 0)};
        snprintf(info->name, sizeof info->name, "GPIO%u", line);
        return 0;
    }
    if (request == GPIO_V2_GET_LINE_IOCTL) return claim(data);
    if (request == GPIO_V2_LINE_SET_CONFIG_IOCTL) return 0;
    struct gpio_v2_line_values *values = data;
    int writes = request == GPIO_V2_LINE_SET_VALUES_IOCTL;
    if (!writes && request != GPIO_V2_LINE_GET_VALUES_IOCTL) {
        errno = ENOTTY;
        return -1;
    }
    if (!writes) values->bits = 0;
    for (int i = 0; i < claim_count; i++)
        for (int k = 0; claims[i].fd == fd && k < claims[i].count; k++) {
            uint32_t line = claims[i].lines[k];
            if (!(values->mask >> k & 1)) continue;
            if (writes) note(line, level[line] = (uint8_t)(values->bits >> k & 1));
            else values->bits |= (uint64_t)level[line] << k;
        }
    return 0;
}

int ioctl(int fd, unsigned long request, ...) {
    int (*real)(int, unsigned long, ...) = next("ioctl");
    va_list rest;
    va_start(rest, request);
    void *data = va_arg(rest, void *);
    va_end(rest);
    if (_IOC_TYPE(request) != 0xB4) return real(fd, request, data);
    pthread_mutex_lock(&lock);
    int result = handled(fd, request, data);
    pthread_mutex_unlock(&lock);
    return result;
}
