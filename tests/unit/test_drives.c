/* Drives made from the command line: their places and names, errors, media that come and go. */
#include "frontend/drives.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "block/disk.h"
#include "devices/blockdev.h"
#include "frontend/config_drive.h"
#include "frontend/error.h"
#include "frontend/poller.h"
#include "tests/check.h"

static struct drive_specs specs;
static struct drives *drives;
static struct error error;
static unsigned changes, asked;

static void kick(void *arg)
{
    (void)arg;
}

static void changed(void *controller)
{
    (void)controller;
    changes++;
}

static void eject_request(void *controller)
{
    (void)controller;
    asked++;
}

static void make(const char *path, enum disk_format format, uint64_t size)
{
    const struct disk_layout layout = { .size = size };
    struct disk_error why;

    CHECK_EQ(disk_create(path, format, &layout, &why), 0);
}

static void is_error(int result, int status, const char *part)
{
    CHECK_EQ(result, -1);
    CHECK_EQ(error.status, status);
    if (!strstr(error.text, part)) {
        printf("FAIL '%s', want '%s'\n", error.text, part);
        check_failures++;
    }
    error = (struct error){ 0 };
}

/* An image of a format that is not ours. */
static void make_mark(const char *path, long offset, const char *mark, size_t size)
{
    FILE *file = fopen(path, "w");

    CHECK_EQ(file && !fseek(file, offset, SEEK_SET) && fwrite(mark, size, 1, file) == 1 &&
                 !fseek(file, 1 << 20, SEEK_SET) && fputc(0, file) == 0,
             true);
    if (file)
        fclose(file);
}

static void set_up(void)
{
    make("a.qcow2", DISK_QCOW2, 1 << 20);
    make("b,c.raw", DISK_RAW, 2 << 20);
    make("d.iso", DISK_RAW, 5 * 2048 + 512);
    make("f.iso", DISK_RAW, 4096);
    make("e.img", DISK_RAW, 1440 << 10);
    make_mark("g.vmdk", 0, "KDMV", 4);
    make_mark("g.vdi", 64, "\x7f\x10\xda\xbe", 4);
    CHECK_EQ(config_drive_take(&specs, "file=a.qcow2,format=qcow2,if=virtio,id=root", &error), 0);
    CHECK_EQ(config_drive_take(&specs, "file=b,,c.raw,format=raw,snapshot=on,serial=X1", &error),
             0);
    CHECK_EQ(config_drive_take_file(&specs, "cdrom", "d.iso", &error), 0);
    CHECK_EQ(config_drive_take_file(&specs, "fda", "e.img", &error), 0);
    CHECK_EQ(config_drive_take(&specs, "media=cdrom,index=3", &error), 0);
    CHECK_EQ(config_drive_check(&specs, &error), 0);
}

static void test_places(void)
{
    static const char *const names[] = { "root", "ide0-hd0", "ide1-cd0", "floppy0", "ide1-cd1" };
    struct blockdev *disk[PC_VIRTIO_DISK_COUNT];
    struct drive_view view;

    for (unsigned i = 0; i < 5; i++) {
        CHECK_EQ(drives_view(drives, i, &view), true);
        CHECK_EQ(strcmp(view.name, names[i]), 0);
    }
    CHECK_EQ(drives_view(drives, 5, &view), false);
    CHECK_EQ(drives_virtio(drives, disk), 1);
    CHECK_EQ(disk[0]->size, 1 << 20);
    CHECK_EQ(drives_ide(drives, 0)->size, 2 << 20);
    CHECK_EQ(strcmp(drives_ide(drives, 0)->serial, "X1"), 0);
    CHECK_EQ(drives_ide(drives, 0)->readonly, false);
    CHECK_EQ(drives_ide(drives, 1) == NULL, true);
    CHECK_EQ(drives_ide(drives, 2)->cdrom && drives_ide(drives, 2)->readonly, true);
    CHECK_EQ(drives_ide(drives, 2)->size, 5 * 2048); /* whole sectors of a disc */
    CHECK_EQ(drives_ide(drives, 3)->present, false);
    CHECK_EQ(drives_floppy(drives)->size, 1440 << 10);
}

static void test_media(void)
{
    struct blockdev *cd = drives_ide(drives, 2);

    cd->changed = changed;
    cd->eject_request = eject_request;
    cd->locked = true;
    is_error(drives_eject(drives, "ide1-cd0", false, &error), EX_TEMPFAIL, "the guest holds it");
    CHECK_EQ(asked, 1);
    CHECK_EQ(cd->present, true);
    cd->locked = false;
    CHECK_EQ(drives_eject(drives, "ide1-cd0", false, &error), 0);
    CHECK_EQ(changes == 1 && !cd->present && !cd->size, true);
    CHECK_EQ(drives_change(drives, "ide1-cd0", "f.iso", open("f.iso", O_RDONLY), false, &error),
             0);
    CHECK_EQ(changes == 2 && cd->present && cd->size == 4096, true);
    cd->locked = true;
    CHECK_EQ(drives_change(drives, "ide1-cd0", "d.iso", -1, true, &error), 0);
    CHECK_EQ(cd->size, 5 * 2048);
    is_error(drives_change(drives, "ide1-cd0", "no", -1, true, &error), EX_NOINPUT, "not exist");
    CHECK_EQ(cd->present, true);
    is_error(drives_eject(drives, "root", true, &error), EX_USAGE, "cannot be taken out");
    is_error(drives_eject(drives, "ide1-cd00", true, &error), EX_USAGE, "did you mean ide1-cd0?");
}

/* A drive that cannot be had; what it is called is checked by block/. */
static void test_errors(struct poller *poller)
{
    static const struct {
        const char *value;
        int status;
        const char *part;
    } rows[] = {
        { "file=none", EX_NOINPUT, "-drive: 'none' does not exist; novt image create" },
        { "file=none,media=cdrom", EX_NOINPUT, "-drive: 'none' does not exist; check its name" },
        { "file=fat:rw:x/y", EX_NOINPUT, "other protocols" },
        { "file=a.qcow2/x", EX_DATAERR, "Not a directory; check its name" },
        { "file=g.vmdk", EX_DATAERR, "is a VMDK image; convert it" },
        { "file=g.vdi", EX_DATAERR, "is a VDI image; convert it" },
        { "file=f.iso,format=qcow2", EX_DATAERR, "not a qcow2 image" },
        { "file=.,format=raw", EX_NOINPUT, "folder" },
        { "file=a.qcow2", EX_NOPERM, "in use" },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        static struct drive_specs one;
        struct drives *made;

        one = (struct drive_specs){ .count = 0 };
        CHECK_EQ(config_drive_take(&one, rows[i].value, &error), 0);
        CHECK_EQ(config_drive_check(&one, &error), 0);
        is_error(drives_create(&made, &one, poller, &error), rows[i].status, rows[i].part);
        drives_destroy(made);
    }
}

int main(void)
{
    char folder[] = "/tmp/novt-drives-XXXXXX", command[64];
    struct poller *poller = poller_create(kick, NULL);

    if (!mkdtemp(folder) || chdir(folder))
        return 1;
    set_up();
    CHECK_EQ(drives_create(&drives, &specs, poller, &error), 0);
    test_places();
    test_media();
    test_errors(poller);
    CHECK_EQ(drives_close(drives, &error), 0);
    drives_destroy(drives);
    poller_destroy(poller);
    snprintf(command, sizeof(command), "rm -r '%s'", folder);
    if (system(command))
        return 1;
    return CHECK_DONE();
}
