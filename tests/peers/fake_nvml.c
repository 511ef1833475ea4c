/*
 * A stand-in for libnvidia-ml.so.1: as much of NVML as we call, told by a text file what to answer.
 *
 * The file is named by FAKE_NVML and looked at in every call, so that a test can change it meanwhile. Each line
 * is "WHO FIELD VALUE" where WHO is "driver", a GPU's index, or "0.1" for MIG instance 1 of GPU 0. A VALUE of "!15"
 * makes the call return error 15, "~" makes it hang until the file says something else, and a field that is not there
 * is not supported. Without the file no driver is loaded. Built with -DOLD_DRIVER it is one that lacks the newest form
 * of some functions.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OK = 0, UNINITIALIZED = 1, INVALID = 2, NOT_SUPPORTED = 3, TOO_SMALL = 7, NOT_LOADED = 9, BAD_VERSION = 25 };

#define MOST 64
#define MIB (1ull << 20)

typedef unsigned long long wide;
typedef struct { int index, part; } device;

enum { WHOLE = -1, NOT_FOUND = 6, PARTS = 8 };

static device devices[MOST], parts[MOST][PARTS];
static int opened;

/* What the file says now; read anew only where it is another one, since hundreds of stand-ins may share a machine. */
static const char *said(void)
{
    static char text[1 << 16];
    static struct stat before;
    const char *path = getenv("FAKE_NVML");
    struct stat now;
    FILE *file;

    if (!path || stat(path, &now))
        return NULL;
    if (now.st_ino != before.st_ino || now.st_mtim.tv_sec != before.st_mtim.tv_sec ||
        now.st_mtim.tv_nsec != before.st_mtim.tv_nsec) {
        if (!(file = fopen(path, "r")))
            return NULL;
        text[fread(text, 1, sizeof text - 1, file)] = 0;
        fclose(file);
        before = now;
    }
    return text;
}

/* Finds the nth line of WHO and FIELD. */
static int seek(const char *who, const char *field, int nth, char *value, size_t size)
{
    const char *line = said();
    char start[128];
    int length = snprintf(start, sizeof start, "%s %s ", who, field);

    if (!line)
        return NOT_LOADED;
    for (; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        if (strncmp(line, start, length) || nth--)
            continue;
        line += length;
        snprintf(value, size, "%.*s", (int)strcspn(line, "\n"), line);
        return value[0] == '!' ? atoi(value + 1) : OK;
    }
    return NOT_SUPPORTED;
}

/* Likewise, and hangs for as long as the file says so. */
static int find(const char *who, const char *field, int nth, char *value, size_t size)
{
    int result;

    while ((result = seek(who, field, nth, value, size)) == OK && !strcmp(value, "~"))
        usleep(5000);
    return result;
}

static int text(const char *who, const char *field, char *out, unsigned size)
{
    return opened ? find(who, field, 0, out, size) : UNINITIALIZED;
}

static int number(const char *who, const char *field, wide *out)
{
    char value[512];
    int result = text(who, field, value, sizeof value);

    if (result == OK)
        *out = strtoull(value, NULL, 10);
    return result;
}

static const char *name_of(const void *handle, char *who, size_t size)
{
    const device *one = handle;

    if (one->part == WHOLE)
        snprintf(who, size, "%d", one->index);
    else
        snprintf(who, size, "%d.%d", one->index, one->part);
    return who;
}

static int of_device(const void *handle, const char *field, wide *out)
{
    char who[32];

    return number(name_of(handle, who, sizeof who), field, out);
}

static int word_of_device(const void *handle, const char *field, char *out, unsigned size)
{
    char who[32];

    return text(name_of(handle, who, sizeof who), field, out, size);
}

int nvmlInitWithFlags(unsigned flags)
{
    char value[512];
    int i, part, result = find("driver", "init", 0, value, sizeof value);

    (void)flags;
    if (result != OK && result != NOT_SUPPORTED)
        return result;
    for (i = 0; i < MOST; i++) {
        devices[i] = (device){ i, WHOLE };
        for (part = 0; part < PARTS; part++)
            parts[i][part] = (device){ i, part };
    }
    opened++;
    return OK;
}

int nvmlInit_v2(void)
{
    return nvmlInitWithFlags(0);
}

int nvmlShutdown(void)
{
    if (!opened)
        return UNINITIALIZED;
    opened--;
    return OK;
}

const char *nvmlErrorString(int code)
{
    switch (code) {
    case OK: return "Success";
    case NOT_SUPPORTED: return "Not Supported";
    case NOT_FOUND: return "Not Found";
    case NOT_LOADED: return "Driver Not Loaded";
    case 15: return "GPU is lost";
    case 18: return "RM has detected an NVML/RM version mismatch.";
    case 999: return "Unknown Error";
    default: return "Some other error";
    }
}

int nvmlSystemGetDriverVersion(char *out, unsigned size)
{
    return text("driver", "version", out, size);
}

int nvmlSystemGetCudaDriverVersion_v2(int *out)
{
    wide value = 0;
    int result = number("driver", "cuda", &value);

    *out = (int)value;
    return result;
}

int nvmlDeviceGetCount_v2(unsigned *out)
{
    wide value = 0;
    int result = number("driver", "count", &value);

    *out = (unsigned)value;
    return result;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **out)
{
    char who[16], value[512];
    int result;

    if (!opened)
        return UNINITIALIZED;
    if (index >= MOST)
        return INVALID;
    snprintf(who, sizeof who, "%u", index);
    result = find(who, "handle", 0, value, sizeof value);
    if (result != OK && result != NOT_SUPPORTED)
        return result;
    *out = &devices[index];
    return OK;
}

int nvmlDeviceGetName(void *handle, char *out, unsigned size)
{
    return word_of_device(handle, "name", out, size);
}

int nvmlDeviceGetUUID(void *handle, char *out, unsigned size)
{
    return word_of_device(handle, "uuid", out, size);
}

struct memory { wide total, free, used; };
struct memory_v2 { unsigned version; wide total, reserved, free, used; };

static int memory(void *handle, struct memory_v2 *out)
{
    wide total = 0, used = 0, reserved = 0;
    int result = of_device(handle, "total", &total);

    if (result == OK)
        result = of_device(handle, "used", &used);
    of_device(handle, "reserved", &reserved);
    out->total = total * MIB;
    out->used = used * MIB;
    out->reserved = reserved * MIB;
    out->free = out->total - out->used - out->reserved;
    return result;
}

int nvmlDeviceGetMemoryInfo(void *handle, struct memory *out)
{
    struct memory_v2 all;
    int result = memory(handle, &all);

    out->total = all.total;
    out->used = all.used + all.reserved; /* the first version does not tell them apart */
    out->free = all.free;
    return result;
}

#ifndef OLD_DRIVER
int nvmlDeviceGetMemoryInfo_v2(void *handle, struct memory_v2 *out)
{
    wide ignored;
    int result = number("driver", "memory_v2", &ignored);

    if (result != OK && result != NOT_SUPPORTED)
        return result;
    if (out->version != (sizeof *out | 2u << 24))
        return BAD_VERSION;
    return memory(handle, out);
}
#endif

struct rates { unsigned gpu, memory; };

int nvmlDeviceGetUtilizationRates(void *handle, struct rates *out)
{
    wide value = 0;
    int result = of_device(handle, "utilisation", &value);

    out->gpu = (unsigned)value;
    out->memory = 0;
    return result;
}

int nvmlDeviceGetTemperature(void *handle, int sensor, unsigned *out)
{
    wide value = 0;
    int result = sensor ? INVALID : of_device(handle, "temperature", &value);

    *out = (unsigned)value;
    return result;
}

int nvmlDeviceGetPowerUsage(void *handle, unsigned *out)
{
    wide value = 0;
    int result = of_device(handle, "milliwatts", &value);

    *out = (unsigned)value;
    return result;
}

int nvmlDeviceGetEnforcedPowerLimit(void *handle, unsigned *out)
{
    wide value = 0;
    int result = of_device(handle, "limit", &value);

    *out = (unsigned)value;
    return result;
}

int nvmlDeviceGetMigMode(void *handle, unsigned *current, unsigned *pending)
{
    wide value = 0;
    int result = of_device(handle, "mig", &value);

    *current = *pending = (unsigned)value;
    return result;
}

int nvmlDeviceGetMaxMigDeviceCount(void *handle, unsigned *out)
{
    (void)handle;
    *out = PARTS - 1;
    return opened ? OK : UNINITIALIZED;
}

/* An instance is there when it has a name. */
int nvmlDeviceGetMigDeviceHandleByIndex(void *handle, unsigned index, void **out)
{
    device *part;
    char ignored[512];
    int result;

    if (index >= PARTS)
        return INVALID;
    part = &parts[((device *)handle)->index][index];
    result = word_of_device(part, "name", ignored, sizeof ignored);
    *out = part;
    return result == NOT_SUPPORTED ? NOT_FOUND : result;
}

struct process { unsigned pid; wide memory; unsigned gpu_instance, compute_instance; };

/* A line in the plural says that the call is supported, or its error; each in the singular is one: PID MIB or PID -. */
static int listed(void *handle, const char *many, const char *one, unsigned *count, struct process *out)
{
    char who[32], value[512], memory[64];
    unsigned room = *count, found = 0;
    wide ignored;
    int result = of_device(handle, many, &ignored);

    if (result != OK)
        return result;
    name_of(handle, who, sizeof who);
    for (; find(who, one, (int)found, value, sizeof value) == OK; found++) {
        if (!out || found >= room)
            continue;
        if (sscanf(value, "%u %63s", &out[found].pid, memory) != 2)
            return INVALID;
        out[found].memory = memory[0] == '-' ? ~0ull : strtoull(memory, NULL, 10) * MIB;
        out[found].gpu_instance = out[found].compute_instance = ~0u;
    }
    *count = found;
    return found > room || (found && !out) ? TOO_SMALL : OK;
}

#ifdef OLD_DRIVER
#define NEWEST(name) name##_v2
#else
#define NEWEST(name) name##_v3
#endif

int NEWEST(nvmlDeviceGetComputeRunningProcesses)(void *handle, unsigned *count, struct process *out)
{
    return listed(handle, "processes", "process", count, out);
}

int NEWEST(nvmlDeviceGetGraphicsRunningProcesses)(void *handle, unsigned *count, struct process *out)
{
    return listed(handle, "drawers", "drawer", count, out);
}

#ifndef OLD_DRIVER
int nvmlDeviceGetMPSComputeRunningProcesses_v3(void *handle, unsigned *count, struct process *out)
{
    return listed(handle, "sharers", "sharer", count, out);
}
#endif
