/* A stub of libnvidia-ml.so.1 for machines without a GPU. It answers what the text file NVML_STUB says, which is read
 * anew at every call, so that a test can change a running machine.
 *
 * A line is `key value...`; the first line of a key counts.
 *   gpus 1                                   number of GPUs
 *   nvmlSystemGetDriverVersion 550.90.07     what a call without a GPU answers
 *   0.nvmlDeviceGetPowerUsage 71962          what GPU 0 answers: numbers, or text
 *   0.nvmlDeviceGetClockInfo.1 2040          with an enumeration among the arguments
 *   0.nvmlDeviceGetPowerUsage error 3        an error, by NVML's number
 *   0.nvmlDeviceGetPowerUsage hang           does not come back until the line has gone
 *   0.* error 15                             all calls on GPU 0
 *   * error 999                              all calls
 * A call without a line is not supported (error 3). Starts and ends are appended to the file NVML_STUB_LOG.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SUCCESS = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, VERSION_MISMATCH = 25 };
enum { MOST = 16, LONGEST = 512, MEMORY_V2 = 0x02000028 };

typedef struct { int index; } gpu_t;
typedef struct { unsigned gpu, memory; } utilization_t;
typedef struct { unsigned version; unsigned long long total, reserved, free, used; } memory_v2_t;
typedef struct { unsigned long long reference, violation; } violation_t;
typedef struct {
    char bus_id_legacy[16];
    unsigned domain, bus, device, pci_device, pci_subsystem;
    char bus_id[32];
} pci_t;
typedef struct {
    uint32_t field, scope;
    int64_t timestamp, latency;
    unsigned type, code;
    union { double d; unsigned u; unsigned long long ull; } value;
} field_t;

static gpu_t gpus[MOST];
static int started;

/* Finds the line of a key; without one `text` is empty. */
static int find(const char *key, char *text) {
    char line[LONGEST];
    const char *path = getenv("NVML_STUB");
    FILE *file = path ? fopen(path, "r") : NULL;
    size_t length = strlen(key);
    int found = 0;
    text[0] = '\0';
    while (file && !found && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, key, length) == 0 && line[length] == ' ') {
            strcpy(text, line + length + 1);
            found = 1;
        }
    }
    if (file) fclose(file);
    return found;
}

/* What a key says, the lines with a star before it; the code that NVML gives back. */
static int answer(int gpu, const char *name, char *text) {
    char key[LONGEST], star[LONGEST];
    if (gpu < 0) snprintf(key, sizeof key, "%s", name);
    else snprintf(key, sizeof key, "%d.%s", gpu, name);
    snprintf(star, sizeof star, "%d.*", gpu);
    for (;;) {
        if (!find("*", text) && !find(star, text) && !find(key, text)) return NOT_SUPPORTED;
        if (strcmp(text, "hang") != 0) break;
        usleep(20000);
    }
    if (strncmp(text, "error ", 6) == 0) return atoi(text + 6);
    return SUCCESS;
}

/* Up to four numbers of a GPU's answer. */
static int numbers(gpu_t *gpu, const char *name, unsigned long long *to, int count) {
    char text[LONGEST], *at = text;
    if (!started) return UNINITIALIZED;
    int code = answer(gpu->index, name, text);
    for (int i = 0; code == SUCCESS && i < count; i++) to[i] = strtoull(at, &at, 0);
    return code;
}

static int number(gpu_t *gpu, const char *name, unsigned *to) {
    unsigned long long value = 0;
    int code = numbers(gpu, name, &value, 1);
    if (code == SUCCESS) *to = (unsigned)value;
    return code;
}

static int words(int gpu, const char *name, char *to, unsigned length) {
    char text[LONGEST];
    if (!started) return UNINITIALIZED;
    int code = answer(gpu, name, text);
    if (code == SUCCESS) snprintf(to, length, "%s", text);
    return code;
}

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
    log_line("init");
    int code = answer(-1, "nvmlInitWithFlags", text);
    if (code == NOT_SUPPORTED) code = SUCCESS;
    started = code == SUCCESS;
    return code;
}

int nvmlShutdown(void) {
    log_line("shutdown");
    if (!started) return UNINITIALIZED;
    started = 0;
    return SUCCESS;
}

const char *nvmlErrorString(int code) {
    return code == 25 ? "Argument version mismatch" : code == 28 ? "GPU not found" : "an error of the stub";
}

int nvmlSystemGetDriverVersion(char *to, unsigned length) {
    return words(-1, "nvmlSystemGetDriverVersion", to, length);
}

int nvmlDeviceGetCount_v2(unsigned *to) {
    char text[LONGEST];
    if (!started) return UNINITIALIZED;
    int code = answer(-1, "gpus", text);
    if (code == SUCCESS) *to = (unsigned)atoi(text);
    return code;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, gpu_t **to) {
    char text[LONGEST];
    if (!started) return UNINITIALIZED;
    if (index >= MOST) return INVALID_ARGUMENT;
    int code = answer((int)index, "nvmlDeviceGetHandleByIndex_v2", text);
    if (code != SUCCESS && code != NOT_SUPPORTED) return code;
    gpus[index].index = (int)index;
    *to = &gpus[index];
    return SUCCESS;
}

#define WORDS(call) int call(gpu_t *gpu, char *to, unsigned size) { return words(gpu->index, #call, to, size); }
WORDS(nvmlDeviceGetUUID)
WORDS(nvmlDeviceGetName)

int nvmlDeviceGetPciInfo_v3(gpu_t *gpu, pci_t *to) {
    memset(to, 0, sizeof *to);
    return words(gpu->index, "nvmlDeviceGetPciInfo_v3", to->bus_id, sizeof to->bus_id);
}

int nvmlDeviceGetUtilizationRates(gpu_t *gpu, utilization_t *to) {
    unsigned long long values[2];
    int code = numbers(gpu, "nvmlDeviceGetUtilizationRates", values, 2);
    if (code == SUCCESS) *to = (utilization_t){(unsigned)values[0], (unsigned)values[1]};
    return code;
}

static int sampled(gpu_t *gpu, const char *name, unsigned *to, unsigned *period) {
    unsigned long long values[2];
    int code = numbers(gpu, name, values, 2);
    if (code == SUCCESS) *to = (unsigned)values[0], *period = (unsigned)values[1];
    return code;
}

int nvmlDeviceGetEncoderUtilization(gpu_t *gpu, unsigned *to, unsigned *period) {
    return sampled(gpu, "nvmlDeviceGetEncoderUtilization", to, period);
}

int nvmlDeviceGetDecoderUtilization(gpu_t *gpu, unsigned *to, unsigned *period) {
    return sampled(gpu, "nvmlDeviceGetDecoderUtilization", to, period);
}

int nvmlDeviceGetMemoryInfo_v2(gpu_t *gpu, memory_v2_t *to) {
    unsigned long long values[4]; /* total reserved free used */
    if (to->version != MEMORY_V2) return VERSION_MISMATCH;
    int code = numbers(gpu, "nvmlDeviceGetMemoryInfo_v2", values, 4);
    if (code == SUCCESS) *to = (memory_v2_t){to->version, values[0], values[1], values[2], values[3]};
    return code;
}

int nvmlDeviceGetClockInfo(gpu_t *gpu, unsigned type, unsigned *to) {
    char name[64];
    snprintf(name, sizeof name, "nvmlDeviceGetClockInfo.%u", type);
    return number(gpu, name, to);
}

int nvmlDeviceGetTemperature(gpu_t *gpu, unsigned sensor, unsigned *to) {
    char name[64];
    snprintf(name, sizeof name, "nvmlDeviceGetTemperature.%u", sensor);
    return number(gpu, name, to);
}

int nvmlDeviceGetFieldValues(gpu_t *gpu, int count, field_t *fields) {
    char name[64];
    if (!started) return UNINITIALIZED;
    for (int i = 0; i < count; i++) { /* each value has its own code, and the call succeeds all the same */
        snprintf(name, sizeof name, "nvmlDeviceGetFieldValues.%u", fields[i].field);
        fields[i].type = 1;
        fields[i].code = (unsigned)number(gpu, name, &fields[i].value.u);
    }
    return SUCCESS;
}

#define NUMBER(call) int call(gpu_t *gpu, unsigned *to) { return number(gpu, #call, to); }
NUMBER(nvmlDeviceGetPowerUsage)
NUMBER(nvmlDeviceGetEnforcedPowerLimit)
NUMBER(nvmlDeviceGetPowerManagementLimit)
NUMBER(nvmlDeviceGetPcieReplayCounter)

int nvmlDeviceGetTotalEnergyConsumption(gpu_t *gpu, unsigned long long *to) {
    return numbers(gpu, "nvmlDeviceGetTotalEnergyConsumption", to, 1);
}

int nvmlDeviceGetCurrentClocksEventReasons(gpu_t *gpu, unsigned long long *to) {
    return numbers(gpu, "nvmlDeviceGetCurrentClocksEventReasons", to, 1);
}

int nvmlDeviceGetTotalEccErrors(gpu_t *gpu, unsigned type, unsigned counter, unsigned long long *to) {
    char name[64];
    snprintf(name, sizeof name, "nvmlDeviceGetTotalEccErrors.%u.%u", type, counter);
    return numbers(gpu, name, to, 1);
}

int nvmlDeviceGetRemappedRows(gpu_t *gpu, unsigned *corrected, unsigned *uncorrected, unsigned *pending,
                              unsigned *failed) {
    unsigned long long values[4];
    int code = numbers(gpu, "nvmlDeviceGetRemappedRows", values, 4);
    if (code != SUCCESS) return code;
    *corrected = (unsigned)values[0], *uncorrected = (unsigned)values[1];
    *pending = (unsigned)values[2], *failed = (unsigned)values[3];
    return SUCCESS;
}

int nvmlDeviceGetViolationStatus(gpu_t *gpu, unsigned policy, violation_t *to) {
    char name[64];
    unsigned long long values[2];
    snprintf(name, sizeof name, "nvmlDeviceGetViolationStatus.%u", policy);
    int code = numbers(gpu, name, values, 2);
    if (code == SUCCESS) *to = (violation_t){values[0], values[1]};
    return code;
}
