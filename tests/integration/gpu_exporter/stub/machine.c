/* Reads the machine's file. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "machine.h"

gpu_t gpus[MOST];

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

static int said(const gpu_t *gpu, const char *name, char *text, int otherwise) {
    char key[2 * KEY], star[2 * KEY];
    snprintf(key, sizeof key, "%s%s%s", gpu ? gpu->key : "", gpu ? "." : "", name);
    snprintf(star, sizeof star, "%s.*", gpu ? gpu->key : "");
    for (;;) {
        if (!find("*", text) && !find(star, text) && !find(key, text)) return otherwise;
        if (strcmp(text, "hang") != 0) break;
        usleep(20000);
    }
    return strncmp(text, "error ", 6) == 0 ? atoi(text + 6) : SUCCESS;
}

int answer_or_success(const gpu_t *gpu, const char *name, char *text) {
    return said(gpu, name, text, SUCCESS);
}

int answer(const gpu_t *gpu, const char *name, char *text) {
    return started() ? said(gpu, name, text, NOT_SUPPORTED) : UNINITIALIZED;
}

int numbers(const gpu_t *gpu, const char *name, unsigned long long *to, int count) {
    char text[LONGEST], *at = text;
    int code = answer(gpu, name, text);
    for (int i = 0; code == SUCCESS && i < count; i++) to[i] = strtoull(at, &at, 0);
    return code;
}

int number(const gpu_t *gpu, const char *name, unsigned *to) {
    unsigned long long value = 0;
    int code = numbers(gpu, name, &value, 1);
    if (code == SUCCESS) *to = (unsigned)value;
    return code;
}

int words(const gpu_t *gpu, const char *name, char *to, unsigned length) {
    char text[LONGEST];
    int code = answer(gpu, name, text);
    if (code == SUCCESS) snprintf(to, length, "%s", text);
    return code;
}
