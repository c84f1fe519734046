/* See vmlinux.h. */
#include "vmlinux.h"

#include <fcntl.h>
#include <libelf.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Copies section .text. */
static bool copy_text(struct vmlinux *vmlinux, Elf *elf)
{
    size_t names;
    Elf_Scn *section = NULL;

    if (elf_getshdrstrndx(elf, &names))
        return false;
    while ((section = elf_nextscn(elf, section))) {
        Elf32_Shdr *header = elf32_getshdr(section);
        const char *name = header ? elf_strptr(elf, names, header->sh_name) : NULL;
        Elf_Data *data;

        if (!name || strcmp(name, ".text") || !(data = elf_rawdata(section, NULL)))
            continue;
        vmlinux->size = data->d_size;
        vmlinux->text = malloc(data->d_size);
        if (vmlinux->text)
            memcpy(vmlinux->text, data->d_buf, data->d_size);
        return vmlinux->text;
    }
    return false;
}

bool vmlinux_load(struct vmlinux *vmlinux, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool ok = false;
    Elf *elf;

    *vmlinux = (struct vmlinux){0};
    if (fd < 0)
        return false;
    elf_version(EV_CURRENT);
    elf = elf_begin(fd, ELF_C_READ, NULL);
    if (elf) {
        ok = copy_text(vmlinux, elf);
        elf_end(elf);
    }
    close(fd);
    return ok;
}

void vmlinux_free(struct vmlinux *vmlinux)
{
    free(vmlinux->text);
}
