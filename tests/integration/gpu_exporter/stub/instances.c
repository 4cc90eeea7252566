/* MIG devices of a GPU, and the processes on either. */
#include <stdio.h>
#include <stdlib.h>

#include "machine.h"

typedef struct { unsigned pid; unsigned long long used; unsigned gpu_instance, compute_instance; } process_t;

static gpu_t instances[MOST][MOST_INSTANCES];

int nvmlDeviceGetMigMode(gpu_t *gpu, unsigned *current, unsigned *pending) {
    unsigned long long values[2];
    int code = numbers(gpu, "nvmlDeviceGetMigMode", values, 2);
    if (code == SUCCESS) *current = (unsigned)values[0], *pending = (unsigned)values[1];
    return code;
}

int nvmlDeviceGetMaxMigDeviceCount(gpu_t *gpu, unsigned *to) {
    return number(gpu, "nvmlDeviceGetMaxMigDeviceCount", to);
}

int nvmlDeviceGetMigDeviceHandleByIndex(gpu_t *gpu, unsigned index, gpu_t **to) {
    char text[LONGEST];
    if (index >= MOST_INSTANCES) return INVALID_ARGUMENT;
    gpu_t *instance = &instances[gpu->index][index];
    snprintf(instance->key, sizeof instance->key, "%d/%u", gpu->index, index);
    int code = answer(instance, "nvmlDeviceGetName", text);
    if (code == NOT_SUPPORTED) return NOT_FOUND; /* an empty place among those that there could be */
    if (code == SUCCESS) *to = instance;
    return code;
}

int nvmlDeviceGetGpuInstanceId(gpu_t *gpu, unsigned *to) { return number(gpu, "nvmlDeviceGetGpuInstanceId", to); }

/* A line of pairs: pid and bytes; -1 bytes are not known. */
static int processes(gpu_t *gpu, const char *name, unsigned *count, process_t *to) {
    char text[LONGEST], *at = text, *next;
    unsigned found = 0, room = *count;
    int code = answer(gpu, name, text);
    if (code != SUCCESS) return code;
    for (unsigned long long pid; pid = strtoull(at, &next, 0), next != at; found++) {
        unsigned long long used = strtoull(next, &at, 0);
        if (to && found < room) to[found] = (process_t){(unsigned)pid, used, 0xFFFFFFFF, 0xFFFFFFFF};
    }
    *count = found;
    return found > room ? INSUFFICIENT_SIZE : SUCCESS;
}

#define PROCESSES(call) \
    int call(gpu_t *gpu, unsigned *count, process_t *to) { return processes(gpu, #call, count, to); }
PROCESSES(nvmlDeviceGetComputeRunningProcesses_v3)
PROCESSES(nvmlDeviceGetGraphicsRunningProcesses_v3)

int nvmlSystemGetProcessName(unsigned pid, char *to, unsigned length) {
    char name[KEY];
    snprintf(name, sizeof name, "nvmlSystemGetProcessName.%u", pid);
    int code = words(NULL, name, to, length);
    return code == NOT_SUPPORTED ? NOT_FOUND : code;
}
