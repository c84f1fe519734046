/* The setup header's fields, by the protocol's versions: see boot_setup.h. */
#include "frontend/boot_setup.h"

#include <stdlib.h>
#include <string.h>

#define CMDLINE_OLD 255        /* before 2.06 */
#define INITRD_MAX_OLD 0x37ffffffu /* before 2.03 */

uint32_t setup_get(const uint8_t *head, unsigned offset, unsigned size)
{
    uint32_t value = 0;

    memcpy(&value, head + offset, size);
    return value;
}

unsigned setup_version(const uint8_t *head)
{
    return memcmp(head + MAGIC, "HdrS", 4) ? 0 : setup_get(head, VERSION, 2);
}

size_t setup_size(const uint8_t *head)
{
    return ((head[SETUP_SECTS] ? head[SETUP_SECTS] : 4) + 1u) * SETUP_SECTOR;
}

uint64_t setup_kernel_end(const struct image *kernel)
{
    const uint8_t *head = kernel->bytes;
    uint64_t end = SETUP_KERNEL + kernel->size - setup_size(head), init_end;
    uint64_t preferred;

    if (setup_version(head) < 0x20a)
        return end;
    memcpy(&preferred, head + PREF_ADDRESS, sizeof(preferred));
    if (preferred < SETUP_KERNEL)
        preferred = SETUP_KERNEL;
    if (preferred > UINT32_MAX)
        return preferred;
    init_end = preferred + setup_get(head, INIT_SIZE, 4);
    return init_end > end ? init_end : end;
}

uint64_t setup_initrd_end(const uint8_t *head)
{
    if (setup_version(head) < 0x203)
        return INITRD_MAX_OLD + 1ull;
    return setup_get(head, INITRD_ADDR_MAX, 4) + 1ull;
}

size_t setup_cmdline_max(const uint8_t *head)
{
    return setup_version(head) < 0x206 ? CMDLINE_OLD : setup_get(head, CMDLINE_SIZE, 4);
}

/* --- vga= ------------------------------------------------------------------------ */

static const struct {
    const char *name;
    int mode;
} video_names[] = {
    { "normal", VID_MODE_NORMAL },
    { "ext", VID_MODE_EXT },
    { "ask", VID_MODE_ASK },
};

/* A word of size bytes, by C's rules for numbers. */
static int video_word(const char *word, size_t size)
{
    unsigned long mode;
    char *end;

    for (unsigned i = 0; i < sizeof(video_names) / sizeof(*video_names); i++)
        if (strlen(video_names[i].name) == size && !memcmp(word, video_names[i].name, size))
            return video_names[i].mode;
    if (!size || *word < '0' || *word > '9')
        return -1;
    mode = strtoul(word, &end, 0);
    return end == word + size && mode <= 0xffff ? (int)mode : -1;
}

int setup_video_mode(const char *append)
{
    int mode = -1;

    for (const char *word = append; *word; ) {
        size_t size = strcspn(word, " ");

        if (size >= 4 && !memcmp(word, "vga=", 4))
            mode = video_word(word + 4, size - 4);
        word += size;
        word += strspn(word, " ");
    }
    return mode;
}
