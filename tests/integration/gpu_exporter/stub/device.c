/* What a GPU says of itself. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "machine.h"

enum { MEMORY_V2 = 0x02000028 };

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

#define WORDS(call) int call(gpu_t *gpu, char *to, unsigned size) { return words(gpu, #call, to, size); }
WORDS(nvmlDeviceGetUUID)
WORDS(nvmlDeviceGetName)

int nvmlDeviceGetPciInfo_v3(gpu_t *gpu, pci_t *to) {
    memset(to, 0, sizeof *to);
    return words(gpu, "nvmlDeviceGetPciInfo_v3", to->bus_id, sizeof to->bus_id);
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
    if (!started()) return UNINITIALIZED;
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

int nvmlDeviceGetPcieThroughput(gpu_t *gpu, unsigned counter, unsigned *to) {
    char name[64];
    snprintf(name, sizeof name, "nvmlDeviceGetPcieThroughput.%u", counter);
    return number(gpu, name, to);
}

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
