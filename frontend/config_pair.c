/*
 * See config_pair.h. A card and its cable become the value of a -nic; a disk gives the -drive that
 * it names its interface. Slots and buses are left alone, but for IDE drives.
 */
#include "frontend/config_pair.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/count.h"
#include "frontend/config_text.h"
#include "frontend/error.h"

/* What the value names first, without the rest of it. */
static bool is_named(const char *value, const char *name)
{
    size_t len = strlen(name);

    return !strncmp(value, name, len) && (!value[len] || value[len] == ',');
}

static int add(const char **list, unsigned *count, unsigned most, const char *option,
               const char *value, struct error *error)
{
    if (*count == most)
        return error_set(error, EX_USAGE, "%s %s: one too many, %u are the most", option, value,
                         most);
    list[(*count)++] = value;
    return 0;
}

/* --- What there is ---------------------------------------------------------- */

static const struct disk_name {
    const char *name;
    enum drive_interface interface;
    bool cdrom;
} disk_names[] = {
    { "virtio-blk-pci", DRIVE_VIRTIO, false }, { "virtio-blk", DRIVE_VIRTIO, false },
    { "ide-hd", DRIVE_IDE, false },            { "ide-drive", DRIVE_IDE, false },
    { "ide-cd", DRIVE_IDE, true },             { "floppy", DRIVE_FLOPPY, false },
};

static const struct disk_name *disk_name_of(const char *value)
{
    for (size_t i = 0; i < COUNT(disk_names); i++)
        if (is_named(value, disk_names[i].name))
            return &disk_names[i];
    return NULL;
}

static bool is_card(const char *value)
{
    char name[32];
    size_t len = strcspn(value, ",");

    if (len >= sizeof(name))
        return false;
    memcpy(name, value, len);
    name[len] = 0;
    return config_nic_is_model(name);
}

int config_pair_netdev(struct pair_specs *pairs, const char *value, struct error *error)
{
    return add(pairs->cable, &pairs->cables, NICS_MAX, "-netdev", value, error);
}

int config_pair_device(struct pair_specs *pairs, const char *value, struct error *error)
{
    if (is_card(value))
        return add(pairs->card, &pairs->cards, NICS_MAX, "-device", value, error) ? -1 : 1;
    if (disk_name_of(value))
        return add(pairs->disk, &pairs->disks, DRIVES_MAX, "-device", value, error) ? -1 : 1;
    return 0;
}

int config_pair_net(struct pair_specs *pairs, const char *value, struct error *error)
{
    const char **place = is_named(value, "nic") ? &pairs->net_card : &pairs->net_cable;

    if (!strcmp(value, "none"))
        return 0;
    if (is_named(value, "nic") && strstr(value, ",netdev="))
        return add(pairs->card, &pairs->cards, NICS_MAX, "-net", value, error);
    if (*place)
        return error_set(error, EX_USAGE, "-net %s: one too many; write -nic user for each card",
                         value);
    *place = value;
    return 0;
}

int config_pair_object(struct pair_specs *pairs, const char *value, struct error *error)
{
    if (!is_named(value, "filter-dump"))
        return 0;
    return add(pairs->dump, &pairs->dumps, NICS_MAX, "-object", value, error) ? -1 : 1;
}

/* --- Values ------------------------------------------------------------------ */

/* Properties of either that say where QEMU is to put it, or that there is nothing of here. */
static bool is_left_alone(const char *piece)
{
    static const char *const names[] = {
        "id", "bus", "unit", "addr", "name", "vlan", "romfile", "rombar", "multifunction",
        "vectors", "mq", "disable-legacy", "disable-modern", "bootindex", "scsi", "write-cache",
        "logical_block_size", "physical_block_size", "iothread", "num-queues", "packed",
        "vhost", "queues", "share-rw",
    };

    for (size_t i = 0; i < COUNT(names); i++) {
        if (!config_text_value(piece, names[i]))
            continue;
        if (!strcmp(names[i], "bootindex"))
            fprintf(stderr, "novt: note: bootindex is ignored; -boot order= says what is tried\n");
        else if (!strcmp(names[i], "share-rw") && !strcmp(piece, "share-rw=on"))
            fprintf(stderr, "novt: note: share-rw is ignored; an image is one guest's at a time\n");
        return true;
    }
    return false;
}

/* A copy to cut up, its first piece cut off; the caller's to free. NULL with *error. */
static char *copy(const char *value, char **rest, struct error *error)
{
    char *text = strdup(value);

    *rest = text;
    if (!text)
        error_set(error, EX_OSERR, "no host memory for the options; free some");
    else
        config_text_next(rest);
    return text;
}

/* The value of the property, for who frees it; NULL: it has none, or there is no memory. */
static char *property(const char *value, const char *name, struct error *error)
{
    char *rest, *text = copy(value, &rest, error), *piece, *found = NULL;

    while (text && !found && (piece = config_text_next(&rest)))
        if (config_text_value(piece, name))
            found = strdup(config_text_value(piece, name));
    free(text);
    return found;
}

/* --- Network cards ------------------------------------------------------------ */

/* A value of -nic in the making. */
struct joined {
    char text[NIC_TEXT_MAX];
    size_t used;
};

/* With commas written twice again. */
static int append(struct joined *to, const char *name, const char *value, struct error *error)
{
    size_t needed = strlen(name) + strlen(value) + 2;

    for (const char *at = value; *at; at++)
        needed += *at == ',';
    if (needed > sizeof(to->text) - to->used)
        return error_set(error, EX_USAGE, "-netdev: too long");
    to->used += (size_t)sprintf(to->text + to->used, "%s%s", to->used ? "," : "", name);
    for (; *value; value++) {
        if (*value == ',')
            to->text[to->used++] = ',';
        to->text[to->used++] = *value;
    }
    to->text[to->used] = 0;
    return 0;
}

/* What the cable says of itself. */
static int append_cable(struct joined *to, const char *cable, struct error *error)
{
    char *rest, *text = copy(cable, &rest, error), *piece;
    int err = text ? append(to, "", text, error) : -1;

    while (!err && (piece = config_text_next(&rest)))
        if (config_text_value(piece, "id") || !is_left_alone(piece))
            err = append(to, "", piece, error);
    free(text);
    return err;
}

static int append_card(struct joined *to, const char *option, const char *card, struct error *error)
{
    char *rest, *text = copy(card, &rest, error), *piece;
    bool net = text && !strcmp(text, "nic"); /* else its first word is the model */
    int err = !text ? -1 : net ? 0 : append(to, "model=", text, error);

    while (!err && (piece = config_text_next(&rest))) {
        const char *mac = config_text_value(piece, net ? "macaddr" : "mac");

        if (mac)
            err = append(to, "mac=", mac, error);
        else if (net && config_text_value(piece, "model"))
            err = append(to, "", piece, error);
        else if (!config_text_value(piece, "netdev") && !is_left_alone(piece))
            err = error_set(error, EX_USAGE, "%s %s: '%s' is not known; write netdev=ID, %s=52:54:"
                            "00:12:34:56", option, card, piece, net ? "macaddr" : "mac");
    }
    free(text);
    return err;
}

static const char *option_of(const char *card)
{
    return is_named(card, "nic") ? "-net" : "-device";
}

/* A -net nic without a model is QEMU's, an e1000. */
static int append_usual_model(struct joined *to, const char *card, struct error *error)
{
    char *model = property(card, "model", error);
    bool named = model || !is_named(card, "nic");

    free(model);
    return named ? 0 : append(to, "model=", "e1000", error);
}

static int join_net(const char *cable, const char *card, struct nic_specs *nics,
                    struct error *error)
{
    struct joined joined = { .used = 0 };
    char said[NIC_TEXT_MAX];

    snprintf(said, sizeof(said), "%s %s %s %s", is_named(card, "nic") ? "-net" : "-netdev", cable,
             option_of(card), card);
    if (append_cable(&joined, cable, error) || append_usual_model(&joined, card, error) ||
        append_card(&joined, option_of(card), card, error))
        return -1;
    return config_nic_take_as(nics, said, joined.text, error);
}

/* Which -netdev has that id; -1: none. */
static int cable_of(const struct pair_specs *pairs, const char *id, struct error *error)
{
    for (unsigned i = 0; i < pairs->cables; i++) {
        char *its = property(pairs->cable[i], "id", error);
        bool same = its && !strcmp(its, id);

        free(its);
        if (same)
            return (int)i;
    }
    return -1;
}

static int join_card(const struct pair_specs *pairs, const char *card, bool *taken,
                     struct nic_specs *nics, struct error *error)
{
    const char *option = option_of(card);
    char *id = property(card, "netdev", error);
    int cable = id ? cable_of(pairs, id, error) : -1;

    if (!id)
        error_set(error, EX_USAGE, "%s %s: netdev=ID is needed, and -netdev user,id=ID", option,
                  card);
    else if (cable < 0)
        error_set(error, EX_USAGE, "%s %s: no -netdev has id=%s", option, card, id);
    else if (taken[cable])
        error_set(error, EX_USAGE, "%s %s: -netdev %s has a card already", option, card, id);
    free(id);
    if (cable < 0 || taken[cable])
        return -1;
    taken[cable] = true;
    return join_net(pairs->cable[cable], card, nics, error);
}

static int join_cards(const struct pair_specs *pairs, struct nic_specs *nics, struct error *error)
{
    bool taken[NICS_MAX] = { false };

    for (unsigned i = 0; i < pairs->cards; i++)
        if (join_card(pairs, pairs->card[i], taken, nics, error))
            return -1;
    for (unsigned i = 0; i < pairs->cables; i++)
        if (!taken[i])
            return error_set(error, EX_USAGE, "-netdev %s: no -device is at its other end; write"
                             " id=ID, and -device e1000,netdev=ID", pairs->cable[i]);
    return 0;
}

static int join_old(const struct pair_specs *pairs, struct nic_specs *nics, struct error *error)
{
    if (!pairs->net_card && !pairs->net_cable)
        return 0;
    if (!pairs->net_card || !pairs->net_cable)
        return error_set(error, EX_USAGE, "-net %s: the other half is missing; write -nic user,"
                         "model=e1000", pairs->net_card ? pairs->net_card : pairs->net_cable);
    return join_net(pairs->net_cable, pairs->net_card, nics, error);
}

/* --- Frames in a file ---------------------------------------------------------- */

static struct nic_spec *nic_of(struct nic_specs *nics, const char *id)
{
    for (unsigned i = 0; i < nics->count; i++)
        if (nics->nic[i].id && !strcmp(nics->nic[i].id, id))
            return &nics->nic[i];
    return NULL;
}

/* Both ways, always: there is nothing else to say. */
static bool is_usual_dump(const char *piece)
{
    static const char *const good[] = { "queue=all", "status=on" };
    static const char *const known[] = { "id", "netdev", "file", "maxlen" };

    for (size_t i = 0; i < COUNT(good); i++)
        if (!strcmp(piece, good[i]))
            return true;
    for (size_t i = 0; i < COUNT(known); i++)
        if (config_text_value(piece, known[i]))
            return true;
    return false;
}

static int check_dump(const char *said, const char *dump, struct error *error)
{
    char *rest, *text = copy(dump, &rest, error), *piece;
    int err = text ? 0 : -1;

    while (!err && (piece = config_text_next(&rest)))
        if (!is_usual_dump(piece))
            err = error_set(error, EX_USAGE, "%s: '%s' is not known; write id=ID, netdev=ID, "
                            "file=FILE and maxlen=BYTES", said, piece);
    free(text);
    return err;
}

static int join_dump(const char *dump, struct nic_specs *nics, struct error *error)
{
    char *netdev = property(dump, "netdev", error), *file = property(dump, "file", error);
    char *length = property(dump, "maxlen", error), said[NIC_TEXT_MAX];
    struct nic_spec *nic = netdev ? nic_of(nics, netdev) : NULL;
    int err;

    snprintf(said, sizeof(said), "-object %s", dump);
    err = check_dump(said, dump, error);
    if (!err && (!netdev || !file))
        err = error_set(error, EX_USAGE, "%s: netdev=ID and file=FILE are needed", said);
    else if (!err && !nic)
        err = error_set(error, EX_USAGE, "%s: no -netdev or -nic has id=%s", said, netdev);
    else if (!err)
        err = config_nic_dump(nic, said, file, length, error);
    free(netdev);
    free(file);
    free(length);
    return err;
}

static int join_dumps(const struct pair_specs *pairs, struct nic_specs *nics, struct error *error)
{
    for (unsigned i = 0; i < pairs->dumps; i++)
        if (join_dump(pairs->dump[i], nics, error))
            return -1;
    return 0;
}

/* --- Disks ------------------------------------------------------------------- */

static bool digit(const char *text, int most, int *value)
{
    *value = *text - '0';
    return *value >= 0 && *value <= most && !text[1];
}

static int disk_property(struct drive_spec *drive, int *bus, int *unit, char *piece)
{
    const char *at = config_text_value(piece, "bus");
    const char *serial = config_text_value(piece, "serial");

    if (serial && strlen(serial) < sizeof(drive->serial_text))
        drive->serial = strcpy(drive->serial_text, serial);
    else if (at && drive->interface == DRIVE_IDE)
        return !strncmp(at, "ide.", 4) && digit(at + 4, 1, bus) ? 0 : -1;
    else if (config_text_value(piece, "unit"))
        return digit(config_text_value(piece, "unit"), 1, unit) ? 0 : -1;
    else
        return config_text_value(piece, "drive") || is_left_alone(piece) ? 0 : -1;
    return 0;
}

/* Of -1 the one is the first bus, the other a unit that nobody has yet. */
static void place_ide(const struct drive_specs *drives, struct drive_spec *drive, int bus, int unit)
{
    if (bus < 0 && unit < 0)
        return;
    bus = bus < 0 ? 0 : bus;
    drive->index = -1;
    if (unit < 0)
        unit = config_drive_has(drives, DRIVE_IDE, 2 * bus);
    drive->index = 2 * bus + unit;
}

static int take_disk(struct drive_specs *drives, struct drive_spec *drive, const char *disk,
                     struct error *error)
{
    const struct disk_name *name = disk_name_of(disk);
    char *rest, *text = copy(disk, &rest, error), *piece;
    int bus = -1, unit = -1, err = text ? 0 : -1;

    drive->interface = name->interface;
    drive->cdrom |= name->cdrom;
    drive->device = ++drives->devices;
    while (!err && (piece = config_text_next(&rest)))
        if (disk_property(drive, &bus, &unit, piece))
            err = error_set(error, EX_USAGE, "-device %s: '%s' is not known; write drive=ID,"
                            " serial=TEXT, bus=ide.0 or ide.1 and unit=0 or 1", disk, piece);
    if (drive->interface == DRIVE_IDE)
        place_ide(drives, drive, bus, unit);
    free(text);
    return err;
}

static int join_disk(const char *disk, struct drive_specs *drives, struct error *error)
{
    char *id = property(disk, "drive", error);
    struct drive_spec *drive = id ? config_drive_find(drives, id) : NULL;

    if (!id)
        error_set(error, EX_USAGE, "-device %s: drive=ID is needed, and -drive file=IMAGE,if=none,"
                  "id=ID", disk);
    else if (!drive)
        error_set(error, EX_USAGE, "-device %s: no -drive with if=none has id=%s", disk, id);
    free(id);
    return drive ? take_disk(drives, drive, disk, error) : -1;
}

int config_pair_check(const struct pair_specs *pairs, struct nic_specs *nics,
                      struct drive_specs *drives, struct error *error)
{
    for (unsigned i = 0; i < pairs->disks; i++)
        if (join_disk(pairs->disk[i], drives, error))
            return -1;
    return join_cards(pairs, nics, error) || join_old(pairs, nics, error) ||
           join_dumps(pairs, nics, error) ? -1 : 0;
}
