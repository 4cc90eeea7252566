/* Sets of events: what is appended to a file while a set exists comes out of it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "machine.h"

enum { XID_CRITICAL = 8, STEP_MS = 50 };

typedef struct { gpu_t *gpu; unsigned long long type, data; unsigned gpu_instance, compute_instance; } event_t;
typedef struct { long at; int registered[MOST]; } set_t;

static FILE *events(long at) {
    const char *path = getenv("NVML_STUB_XIDS");
    FILE *file = path ? fopen(path, "r") : NULL;
    if (file) fseek(file, at, at < 0 ? SEEK_END : SEEK_SET);
    return file;
}

int nvmlEventSetCreate(set_t **to) {
    char text[LONGEST];
    if (!started()) return UNINITIALIZED;
    int code = answer_or_success(NULL, "nvmlEventSetCreate", text);
    if (code != SUCCESS) return code;
    set_t *set = calloc(1, sizeof *set);
    FILE *file = events(-1);
    if (file) set->at = ftell(file), fclose(file);
    *to = set;
    return SUCCESS;
}

int nvmlEventSetFree(set_t *set) {
    if (!started()) return UNINITIALIZED;
    free(set);
    return SUCCESS;
}

int nvmlDeviceGetSupportedEventTypes(gpu_t *gpu, unsigned long long *to) {
    return numbers(gpu, "nvmlDeviceGetSupportedEventTypes", to, 1);
}

int nvmlDeviceRegisterEvents(gpu_t *gpu, unsigned long long types, set_t *set) {
    char text[LONGEST];
    if (!started()) return UNINITIALIZED;
    int code = answer_or_success(gpu, "nvmlDeviceRegisterEvents", text);
    if (code == SUCCESS) set->registered[gpu->index] = (types & XID_CRITICAL) != 0;
    return code;
}

/* The next event for the GPUs of a set. */
static int next(set_t *set, event_t *to) {
    int index, found = 0;
    unsigned long long xid;
    FILE *file = events(set->at);
    while (file && !found && fscanf(file, "%d %llu\n", &index, &xid) == 2) {
        set->at = ftell(file);
        if (index < 0 || index >= MOST || !set->registered[index]) continue;
        *to = (event_t){&gpus[index], XID_CRITICAL, xid, 0xFFFFFFFF, 0xFFFFFFFF};
        found = 1;
    }
    if (file) fclose(file);
    return found;
}

int nvmlEventSetWait_v2(set_t *set, event_t *to, unsigned timeout_ms) {
    char text[LONGEST];
    for (unsigned waited = 0;; waited += STEP_MS) {
        int code = started() ? answer_or_success(NULL, "nvmlEventSetWait_v2", text) : UNINITIALIZED;
        if (code != SUCCESS) return code;
        if (next(set, to)) return SUCCESS;
        if (waited >= timeout_ms) return TIMED_OUT;
        usleep(STEP_MS * 1000);
    }
}
