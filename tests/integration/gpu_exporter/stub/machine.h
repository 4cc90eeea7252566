/* A stub of libnvidia-ml.so.1 for machines without a GPU. It answers what the text file NVML_STUB says, which is read
 * anew at every call, so that a test can change a running machine.
 *
 * A line is `key value...`; the first line of a key counts.
 *   gpus 1                                   number of GPUs
 *   nvmlSystemGetDriverVersion 550.90.07     what a call without a GPU answers
 *   0.nvmlDeviceGetPowerUsage 71962          what GPU 0 answers: numbers, or text
 *   0.nvmlDeviceGetClockInfo.1 2040          with an enumeration among the arguments
 *   0/2.nvmlDeviceGetName ... MIG 1g.5gb     what MIG device 2 of GPU 0 answers; it is there if it has a name
 *   0.nvmlDeviceGetPowerUsage error 3        an error, by NVML's number
 *   0.nvmlDeviceGetPowerUsage hang           does not come back until the line has gone
 *   0.* error 15                             all calls on GPU 0
 *   * error 999                              all calls
 * A call without a line is not supported (error 3). Starts and ends are appended to the file NVML_STUB_LOG.
 * Each line `gpu xid` that is appended to the file NVML_STUB_XIDS is an event for the sets that exist by then.
 */
#ifndef MACHINE_H
#define MACHINE_H

enum {
    SUCCESS = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7,
    TIMED_OUT = 10, VERSION_MISMATCH = 25
};
enum { MOST = 16, MOST_INSTANCES = 8, LONGEST = 2048, KEY = 96 };

/* A GPU, or a MIG device of one: "0" or "0/2". */
typedef struct { char key[KEY]; int index; } gpu_t;

extern gpu_t gpus[MOST];
int started(void);

/* What the machine says to a call, of a GPU or of none (NULL); the code that NVML gives back. */
int answer(const gpu_t *gpu, const char *name, char *text);
/* The same without the session being asked for: before the start, and where no line means success. */
int answer_or_success(const gpu_t *gpu, const char *name, char *text);
/* Up to `count` numbers of an answer. */
int numbers(const gpu_t *gpu, const char *name, unsigned long long *to, int count);
int number(const gpu_t *gpu, const char *name, unsigned *to);
int words(const gpu_t *gpu, const char *name, char *to, unsigned length);

#endif
