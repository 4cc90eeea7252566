/* Starting and ending NVML, which counts its users, and the GPUs that there are. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "machine.h"

static atomic_int users;

int started(void) { return users > 0; }

static void log_line(const char *line) {
    const char *path = getenv("NVML_STUB_LOG");
    FILE *file = path ? fopen(path, "a") : NULL;
    if (!file) return;
    fprintf(file, "%s\n", line);
    fclose(file);
}

int nvmlInitWithFlags(unsigned flags) {
    char text[LONGEST];
    (void)flags;
    int code = answer_or_success(NULL, "nvmlInitWithFlags", text);
    if (code == SUCCESS && users++ == 0) log_line("init");
    return code;
}

int nvmlShutdown(void) {
    if (!started()) return UNINITIALIZED;
    if (--users == 0) log_line("shutdown");
    return SUCCESS;
}

const char *nvmlErrorString(int code) {
    return code == 25 ? "Argument version mismatch" : code == 28 ? "GPU not found" : "an error of the stub";
}

int nvmlSystemGetDriverVersion(char *to, unsigned length) {
    return words(NULL, "nvmlSystemGetDriverVersion", to, length);
}

int nvmlDeviceGetCount_v2(unsigned *to) { return number(NULL, "gpus", to); }

int nvmlDeviceGetHandleByIndex_v2(unsigned index, gpu_t **to) {
    char text[LONGEST];
    gpu_t *gpu = &gpus[index % MOST];
    if (!started()) return UNINITIALIZED;
    if (index >= MOST) return INVALID_ARGUMENT;
    snprintf(gpu->key, sizeof gpu->key, "%u", index);
    gpu->index = (int)index;
    int code = answer_or_success(gpu, "nvmlDeviceGetHandleByIndex_v2", text);
    if (code == SUCCESS) *to = gpu;
    return code;
}
