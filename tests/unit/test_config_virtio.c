/* -virtio, -share, -virtfs, -chardev, -device virtio-...: what is taken, what is answered. */
#include "frontend/config_virtio.h"

#include <stdio.h>
#include <string.h>

#include "frontend/config_chardev.h"
#include "frontend/error.h"
#include "tests/check.h"

typedef int take_fn(struct virtio_specs *virtio, const char *value, struct error *error);

static void expect_wrong(take_fn *take, const char *value, const char *part)
{
    static struct virtio_specs virtio;
    struct error error = { 0 };

    memset(&virtio, 0, sizeof(virtio));
    if (take(&virtio, value, &error) != -1 || !strstr(error.text, part)) {
        printf("%s: %s, want %s\n", value, error.text, part);
        check_failures++;
    }
}

static void test_shares(void)
{
    static struct virtio_specs virtio;
    struct error error = { 0 };

    CHECK_EQ(config_virtio_share(&virtio, "/a,,b", &error), 0);
    CHECK_EQ(strcmp(virtio.share[0].share.path, "/a,b"), 0);
    CHECK_EQ(virtio.share[0].share.tag == NULL, true);
    CHECK_EQ(virtio.share[0].share.readonly, false);
    CHECK_EQ(config_virtio_share(&virtio, ".,tag=work,readonly", &error), 0);
    CHECK_EQ(strcmp(virtio.share[1].share.tag, "work"), 0);
    CHECK_EQ(virtio.share[1].share.readonly, true);
    CHECK_EQ(config_virtio_check(&virtio, &error), 0);
    CHECK_EQ(config_virtio_virtfs(&virtio, "local,path=/x,mount_tag=share,security_model=none,id=i",
                                  &error), 0);
    CHECK_EQ(strcmp(virtio.share[2].share.path, "/x"), 0);
    CHECK_EQ(config_virtio_check(&virtio, &error), -1); /* the first one's is "share", too */
    CHECK_EQ(config_virtio_share(&virtio, "d,readonly=no", &error), 0);
    CHECK_EQ(config_virtio_share(&virtio, "e", &error), -1);

    expect_wrong(config_virtio_share, "", "name a folder");
    expect_wrong(config_virtio_share, ",tag=x", "name a folder");
    expect_wrong(config_virtio_share, "d,ro", "tag=NAME or readonly");
    expect_wrong(config_virtio_share, "d,tag=", "1 to 31");
    expect_wrong(config_virtio_share, "d,tag=01234567890123456789012345678901", "1 to 31");
    expect_wrong(config_virtio_virtfs, "proxy,path=x", "only 'local'");
    expect_wrong(config_virtio_virtfs, "local,mount_tag=x", "are needed");
    expect_wrong(config_virtio_virtfs, "local,path=x,mount_tag=y,foo=1", "'foo=1' is not known");
}

static void test_devices(void)
{
    static struct virtio_specs virtio;
    struct error error = { 0 };

    CHECK_EQ(config_virtio_device(&virtio, "isa-debug-exit", &error), 0);
    CHECK_EQ(config_virtio_device(&virtio, "virtio-rng-pci", &error), 1);
    CHECK_EQ(virtio.rng, true);
    CHECK_EQ(config_virtio_device(&virtio, "virtio-balloon", &error), 1);
    CHECK_EQ(virtio.balloon && !virtio.balloon_reports && !virtio.balloon_target, true);
    CHECK_EQ(config_virtio_device(&virtio, "virtio-balloon-pci,free-page-reporting=on,target=1G",
                                  &error), 1);
    CHECK_EQ(virtio.balloon_reports, true);
    CHECK_EQ(virtio.balloon_target, 1ull << 30);
    CHECK_EQ(config_virtio_device(&virtio, "virtio-balloon,target=64", &error), 1);
    CHECK_EQ(virtio.balloon_target, 64ull << 20);
    CHECK_EQ(config_virtio_device(&virtio, "virtio-serial-pci", &error), 1);

    expect_wrong(config_virtio_device, "virtio-balloon,target=x", "target=256M");
    expect_wrong(config_virtio_device, "virtio-balloon,target=1T", "target=256M");
    expect_wrong(config_virtio_device, "virtio-balloon,target=1MM", "target=256M");
    expect_wrong(config_virtio_device, "virtio-rng,foo", "no properties");
    expect_wrong(config_virtio_device, "virtconsole", "chardev=ID is needed");
}

static void test_console(void)
{
    static struct virtio_specs virtio;
    static struct chardev_specs chardevs;
    struct error error = { 0 };

    CHECK_EQ(config_virtio_device(&virtio, "virtconsole,chardev=c", &error), 1);
    CHECK_EQ(config_chardev_join(&chardevs, &virtio.console, false, &error), -1);
    CHECK_EQ(strstr(error.text, "-device: no -chardev has id=c") != NULL, true);
    CHECK_EQ(config_chardev_take(&chardevs, "stdio,id=d", &error), 0);
    CHECK_EQ(config_chardev_take(&chardevs, "socket,path=/s,,t,server=on,nowait,id=c", &error), 0);
    CHECK_EQ(config_chardev_join(&chardevs, &virtio.console, false, &error), 0);
    CHECK_EQ(virtio.console.kind, CONSOLE_UNIX);
    CHECK_EQ(strcmp(virtio.console.path, "/s,t"), 0);
    CHECK_EQ(config_virtio_device(&virtio, "virtconsole,chardev=d", &error), -1);
}

static void expect_wrong_chardev(const char *value, const char *part)
{
    static struct chardev_specs chardevs;
    struct error error = { 0 };

    memset(&chardevs, 0, sizeof(chardevs));
    CHECK_EQ(config_chardev_take(&chardevs, value, &error), -1);
    CHECK_EQ(strstr(error.text, part) != NULL, true);
}

static void test_chardevs(void)
{
    expect_wrong_chardev("stdio", "id= is needed");
    expect_wrong_chardev("socket,path=/s,id=x,server=off", "write server=on");
    expect_wrong_chardev("file,id=x", "path= is needed");
    expect_wrong_chardev("udp,id=x", "'udp' is not known");
    expect_wrong_chardev("stdio,id=x,foo=1", "'foo=1' is not known");
}

static void test_mode(void)
{
    static struct virtio_specs virtio;
    struct error error = { 0 };

    CHECK_EQ(config_virtio_mode(&virtio, "legacy", &error), 0);
    CHECK_EQ(virtio.mode, VIRTIO_PCI_LEGACY);
    expect_wrong(config_virtio_mode, "moden", "did you mean modern?");
}

int main(void)
{
    test_shares();
    test_devices();
    test_console();
    test_chardevs();
    test_mode();
    return CHECK_DONE();
}
