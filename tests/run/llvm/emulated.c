/* Runs a program on the buffers of a file and writes them back: driver IN OUT.

   IN: number of threads, number of slots, then for each slot how many bytes its buffer has and the
   bytes, or -1 and a number. OUT: the bytes of every buffer, in order. All numbers are int64. */

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

void run(int64_t *table, int64_t thread);

static int64_t *table;

static int64_t number(FILE *file)
{
    int64_t value;
    if (fread(&value, 8, 1, file) != 1)
        exit(3);
    return value;
}

static void *work(void *thread)
{
    run(table, (intptr_t)thread);
    return 0;
}

int main(int count, char **names)
{
    FILE *in = fopen(names[1], "rb"), *out = fopen(names[2], "wb");
    if (count != 3 || !in || !out)
        return 2;
    int64_t threads = number(in), slots = number(in);
    int64_t *sizes = calloc(slots, 8);
    table = calloc(slots, 8);
    for (int64_t i = 0; i < slots; i++) {
        sizes[i] = number(in);
        if (sizes[i] < 0) {
            table[i] = number(in);
            continue;
        }
        void *bytes = aligned_alloc(64, (sizes[i] + 127) / 64 * 64);
        if (fread(bytes, 1, sizes[i], in) != (size_t)sizes[i])
            return 4;
        table[i] = (intptr_t)bytes;
    }
    pthread_t team[16];
    for (int64_t i = 1; i < threads; i++)
        pthread_create(&team[i], 0, work, (void *)(intptr_t)i);
    work(0);
    for (int64_t i = 1; i < threads; i++)
        pthread_join(team[i], 0);
    for (int64_t i = 0; i < slots; i++)
        if (sizes[i] > 0)
            fwrite((void *)(intptr_t)table[i], 1, sizes[i], out);
    return fclose(out);
}
