/* The command line: what each option sets, and what each mistake is answered with. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "frontend/config.h"
#include "frontend/error.h"
#include "tests/check.h"

#define WORDS_MAX 32

static int parse(const char *line, struct config *config, struct error *error)
{
    static char text[512];
    char *argv[WORDS_MAX] = { "novt" }, *save = NULL;
    int argc = 1;

    snprintf(text, sizeof(text), "%s", line);
    for (char *w = strtok_r(text, " ", &save); w && argc < WORDS_MAX;
         w = strtok_r(NULL, " ", &save))
        argv[argc++] = strcmp(w, "''") ? w : "";
    *error = (struct error){ 0 };
    return config_parse(config, argc, argv, error);
}

/* --- Mistakes ----------------------------------------------------------------- */

static const struct {
    const char *line, *part; /* of the message */
} wrong[] = {
    { "", "novt run KERNEL" },
    { "rum k", "did you mean novt run?" },
    { "-m 5", "options come after" },
    { "doctor -m 5", "-m: unknown option" },
    { "doctor -usb", "-usb: unknown option" },
    { "run -net nic k", "the other half is missing" },
    { "run -net user k", "the other half is missing" },
    { "run -net user -net tap k", "one too many" },
    { "run -net nic,foo=1 -net user k", "'foo=1' is not known" },
    { "run -net nic,netdev=m -netdev user,id=n k", "-net nic,netdev=m: no -netdev has id=m" },
    { "run k -uuid", "-uuid: its value is missing" },
    { "run k -uuid 11223344-5566-7788-99aa-bbccddeeff0", "-uuid 11223344-" },
    { "run k -uuid 11223344-5566-7788-99aa-bbccddeeff0g", "write it as 11223344-" },
    { "run k -uuid 11223344-5566-7788-99aa-bbccddeeff000", "write it as 11223344-" },
    { "run k -smbios vendor=x", "begin with type=N" },
    { "run k -smbios type=5,a=b", "begin with type=N" },
    { "run k -smbios type=1x", "begin with type=N" },
    { "run k -smbios type=1,seriel=x", "did you mean serial?" },
    { "run k -smbios type=0,serial=x", "type=0: serial=x: unknown (one of vendor, version" },
    { "run k -smbios type=0,release=256.1", "write two numbers up to 255" },
    { "run k -smbios type=0,release=1", "write two numbers up to 255" },
    { "run k -smbios type=1,uuid=1", "write as 11223344-" },
    { "run k -smbios type=4,max-speed=65536", "a number of MHz" },
    { "run k -smbios type=4,processor-id=0x1z", "write a number" },
    { "run k -smbios type=11,value=", "value= takes a text" },
    { "doctor k", "takes no arguments" },
    { "run", "no kernel" },
    { "run -m 512", "no kernel" },
    { "run k l", "two kernels" },
    { "run -netdev user,id=n k", "-device e1000,netdev=ID" },
    { "run -device e1000 k", "netdev=ID is needed" },
    { "run -device e1000,netdev=m -netdev user,id=n k", "no -netdev has id=m" },
    { "run -device e1000,netdev=n -netdev user,id=n -device e1000,netdev=n k", "a card already" },
    { "run -device e1000,netdev=n,foo=1 -netdev user,id=n k", "'foo=1' is not known" },
    { "run -device e1000,netdev=n -netdev user,id=n,hostfw=x k", "did you mean hostfwd=?" },
    { "run -device e1000,netdev=n -netdev bridge,id=n k",
      "-netdev bridge,id=n -device e1000,netdev=n: novt joins no" },
    { "run -nic user,id=n -object filter-dump,netdev=m,file=f k", "no -netdev or -nic has id=m" },
    { "run -nic user,id=n -object filter-dump,netdev=n k", "netdev=ID and file=FILE are needed" },
    { "run -nic user,id=n -object filter-dump,netdev=n,file=f,queue=tx k", "'queue=tx' is not" },
    { "run -nic user,id=n -object filter-dump,netdev=n,file= k", "file= is empty" },
    { "run -nic user,id=n -object filter-dump,netdev=n,file=f,maxlen=0 k", "maxlen=0 is wrong" },
    { "run -nic user,id=n,dump=a -object filter-dump,netdev=n,file=f k", "go to 'a' already" },
    { "run -nic user,dump= k", "the file's name" },
    { "run -nic user,dump=a,dumplen=9x k", "dumplen=9x is wrong" },
    { "run -monitor tcp::4444 k", "it calls nobody, it listens; write tcp::4444,server" },
    { "run -serial tcp:4444,server=off k", "write tcp:HOST:PORT,server" },
    { "run -serial telnet::0,server k", "write telnet:HOST:PORT,server" },
    { "run -serial tcp::1,server,foo k", "'foo' is not known" },
    { "run -debugcon tcp::1,server k", "unknown" },
    { "run -chardev socket,id=a,host=::1,port=1 -mon a k", "with server=on" },
    { "run -chardev socket,id=a,port=x,server=on k", "port=x is wrong" },
    { "run -chardev socket,id=a,port=9,server -debugcon chardev:a k", "must be stdio, file or" },
    { "run -nic vde k", "-nic vde: unknown (one of user, tap, socket, none)" },
    { "run -device rtl8139,netdev=n -netdev user,id=n k", "-device e1000,netdev=ID" },
    { "run -drive file=x,if=none", "write id=ID here" },
    { "run -drive file=x,if=none,id=d", "no -device has drive=d" },
    { "run -device virtio-blk-pci -drive file=x,if=none,id=d", "drive=ID is needed" },
    { "run -device ide-hd,drive=e -drive file=x,if=none,id=d", "has id=e" },
    { "run -device ide-hd,drive=d,bus=ide.2 -drive file=x,if=none,id=d", "bus=ide.0 or ide.1" },
    { "run -device virtio-blk,drive=d -drive file=x,if=none,id=d,media=cdrom", "ide-cd" },
    { "run -device nvme,drive=d -drive file=x,if=none,id=d", "if=virtio" },
    { "run -loadvm x k", "novt does not have this: there are no snapshots" },
    { "run -pidfile x k", "echo $! > FILE" },
    { "run -rtc base=now k", "base=localtime" },
    { "run -rtc base=2006-13-01 k", "base=localtime" },
    { "run -rtc base=2024-02-31 k", "base=2024-02-31: no such time" },
    { "run -rtc base=2023-02-29T10:00:00 k", "no such time" },
    { "run -rtc base=2024-02-29T10:00:61 k", "no such time" },
    { "run -rtc foo k", "base=localtime" },
    { "run -d int,cpu_rest k", "-d cpu_rest: unknown" },
    { "run -vnc 5 k", "vnc=127.0.0.1:0" },
    { "run -drive fil=x", "did you mean file=?" },
    { "run -drive file", "file has no value" },
    { "run -drive file=", "the name of an image" },
    { "run -drive format=raw", "which image?" },
    { "run -drive file=x,format=vmdk", "format=raw or format=qcow2" },
    { "run -drive file=x,if=scsi", "if=ide, if=virtio or if=floppy" },
    { "run -drive file=x,media=disc", "media=disk or media=cdrom" },
    { "run -drive file=x,readonly=1", "readonly=on" },
    { "run -drive file=x,snapshot=maybe", "snapshot=on" },
    { "run -drive file=x,readonly=on,snapshot=on", "do not go together" },
    { "run -drive file=x,index=a", "index=0" },
    { "run -drive file=x,index=4", "4 IDE drives at most" },
    { "run -drive file=x,serial=123456789012345678901", "20 characters" },
    { "run -drive file=x,cache=some", "cache=writeback" },
    { "run -drive file=x,rerror=report,werror=stop", "write report: the guest gets errors" },
    { "run -drive file=x,if=virtio,media=cdrom", "a CD-ROM is an IDE drive" },
    { "run -hda x -drive file=y,index=0", "IDE drive 0 is there already" },
    { "run -hdc x -cdrom y", "IDE drive 2 is there already" },
    { "run -fda x -fda y", "floppy drive 0 is there already" },
    { "run -drive file=a -drive file=b -drive file=c -drive file=d -drive file=e",
      "4 IDE drives at most" },
    { "run -boot x", "-boot x: letters are" },
    { "run -boot cc", "each once" },
    { "run -boot order=", "1 to 3 letters" },
    { "run -boot acdn", "1 to 3 letters" },
    { "run -boot d,menu=maybe", "-boot menu=maybe" },
    { "run -boot d,once=", "1 to 3 letters" },
    { "run -boot once=ax", "letters are" },
    { "run -kernel k l", "two kernels" },
    { "run -kernle k", "did you mean -kernel?" },
    { "run --kernle k", "did you mean -kernel?" },
    { "run -kern k", "did you mean -kernel?" },
    { "run -no-reboots k", "did you mean -no-reboot?" },
    { "run -nograhpic k", "did you mean -nographic?" },
    { "run ---m 5 k", "did you mean -m?" },
    { "run -m=5 k", "a word of its own: -m 5" },
    { "run --append=x=y k", "a word of its own: -append x=y" },
    { "run --stats=x k", "unknown option; did you mean -stats" },
    { "--versoin", "did you mean -version" },
    { "run k -m", "-m: its value is missing" },
    { "run k -append", "-append STRING" },
    { "run -m '' k", "not a size" },
    { "run -m 512X k", "not a size" },
    { "run -m 512MB k", "not a size" },
    { "run -m 1.5G k", "not a size" },
    { "run -m -5 k", "not a size" },
    { "run -m 0x200 k", "not a size" },
    { "run -m 99999999999999999999 k", "not a size" },
    { "run -m 0 k", "too small" },
    { "run -m 1 k", "too small" },
    { "run -m 2047k k", "too small" },
    { "run -m 4G k", "too large" },
    { "run -m 3585 k", "too large" },
    { "run -m 17179869183G k", "too large" },
    { "run -engine tcg k", "bt, interp" },
    { "run -engine '' k", "bt, interp" },
    { "run -audit k", "-engine trap" },
    { "run -engine kvm -audit all k", "-engine trap" },
    { "run -smp 2 k", "-smp 1" },
    { "run -smp x k", "-smp 1" },
    { "run -smp cores=2 k", "-smp cores=2" },
    { "run -smp 1,threads=2 k", "-smp 1" },
    { "run -smp 1, k", "-smp 1" },
    { "run -m 64MB,slots=2 k", "not a size" },
    { "run -action reboot=later k", "-action reboot=later: write reboot=shutdown" },
    { "run -echr a k", "-echr a: write a number" },
    { "run -echr 32 k", "-echr 32: write a number" },
    { "run -display spice k", "-display spice: unknown" },
    { "run -vga tcx k", "write std or none" },
    { "run -mon m k", "-mon m: no -chardev has id=m" },
    { "run -mon m -mon n k", "-mon n: one too many" },
    { "run -chardev file,path=x,id=m -mon chardev=m k", "must be stdio, null or a socket" },
    { "run -mon m,mode=control k", "-monitor unix:PATH" },
    { "run -fw_cfg name=opt/a k", "file=PATH or string=TEXT" },
    { "run -fw_cfg opt/a,file= k", "file=PATH or string=TEXT" },
    { "run -fw_cfg opt/a,file=x,string=y k", "file=PATH or string=TEXT" },
    { "run -fw_cfg string=y k", "name= is needed" },
    { "run -fw_cfg opt/a,bytes=y k", "'bytes=y' is not known" },
    { "run -option-rom /x/ k", "the name of a file is needed" },
    { "run -device edu k", "novt does not have this" },
    { "run -device pcie-root-port,id=x k", "novt does not have this" },
    { "run -plugin x k", "-trace FILE" },
    { "run -smp 16 k", "-smp 1" },
    { "run -serial stdoi k", "did you mean stdio?" },
    { "run -serial fil:x k", "did you mean file:?" },
    { "run -serial unx:/x k", "did you mean unix:?" },
    { "run -serial file: k", "path is missing" },
    { "run -serial unix: k", "path is missing" },
    { "run -serial unix:,server k", "path is missing" },
    { "run -serial unix:/s,sever k", "-serial unix:/s,sever: 'sever' is not known" },
    { "run -monitor unix: k", "-monitor unix:: the path is missing" },
    { "run -monitor unix:,server k", "-monitor unix:,server: the path is missing" },
    { "run -gdb unix: k", "-gdb unix:: the path is missing" },
    { "run -gdb unix:,nowait k", "-gdb unix:,nowait: the path is missing" },
    { "run -monitor unix:/m,server=off k", "'server=off' is not known" },
    { "run -gdb unix:/g,foo k", "'foo' is not known" },
    { "run -serial none -serial none -serial none k", "one too many" },
    { "run -serial stdio -serial stdio k", "only one line" },
    { "run -debugcon pty k", "-debugcon pty: unknown (one of stdio, " },
    { "run -debugcon unix:x k", "unknown (one of" },
    { "run -device e100 k", "did you mean e1000?" },
    { "run -device isa-debug-exi k", "did you mean isa-debug-exit?" },
    { "run -device pc-testdev,iobase=1 k", "no properties" },
    { "run -device isa-debug-exit,iobase=z k", "iobase=0xf4" },
    { "run -device isa-debug-exit,iobase=0x10000 k", "iobase=0xf4" },
    { "run -device isa-debug-exit,iobase=0xffff,iosize=2 k", "0xffff" },
    { "run -device isa-debug-exit,iosize=0 k", "1 to 4" },
    { "run -device isa-debug-exit,iosize=5 k", "1 to 4" },
    { "run -device isa-debug-exit,foo=1 k", "iobase=0xf4" },
    { "run -device isa-debugcon,iobase=0x402 k", "the id of a -chardev is needed" },
    { "run -device isa-debugcon,chardev=c,iobase=70000 -chardev stdio,id=c k", "iobase=0x402" },
    { "run -device isa-serial,chardev=c,index=1 k", "chardev=ID alone" },
    { "run -serial chardev:c k", "-serial: no -chardev has id=c" },
    { "run -serial chardev: k", "the id of a -chardev is needed" },
    { "run -chardev pty,id=c -debugcon chardev:c k", "must be stdio, file or null" },
    { "run -chardev null,id=c -serial chardev:c -serial chardev:c k", "-serial: another has" },
    { "run -chardev null,id=c -chardev pty,id=c k", "there is one of that id" },
    { "run -chardev null,id=c -virtcon chardev:c -device virtconsole,chardev=c k",
      "-device virtconsole,chardev=c: there can be one virtio console" },
    { "run -device virtconsole,chardev=c -virtcon stdio k",
      "-virtcon stdio: there can be one virtio console" },
    { "run -virtcon stdio -virtcon pty k", "-virtcon pty: there can be one virtio console" },
    { "run -debugcon stdio -debugcon null k", "-debugcon null: there can be one debug console" },
    { "run -debugcon stdio -device isa-debugcon,chardev=c k",
      "-device isa-debugcon,chardev=c: there can be one debug console" },
    { "run -device isa-debugcon,chardev=c -debugcon none k", "there can be one debug console" },
    { "run -device isa-serial,chardev=c k", "-device: no -chardev has id=c" },
    { "run -device isa-seral k", "did you mean isa-serial?" },
    { "run -timeout 0 k", "not a time" },
    { "run -timeout -1 k", "not a time" },
    { "run -timeout 1h k", "not a time" },
    { "run -timeout '' k", "not a time" },
    { "run -timeout 99999999999999999999 k", "not a time" },
    { "run -expect '' k", "empty" },
    { "run -expect x -serial none k", "no serial line" },
    { "run -d mmu,foo k", "-d foo: unknown (one of all, " },
    { "run -d mmu,,dev k", "-d ,dev: unknown (one of all, " },
};

static void test_wrong(void)
{
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        struct config config;
        struct error error;
        int got = parse(wrong[i].line, &config, &error);

        if (got != -1 || error.status != EX_USAGE || !strstr(error.text, wrong[i].part) ||
            strchr(error.text, '\n')) {
            printf("novt %s: %d, status %d, '%s', want '%s'\n", wrong[i].line, got, error.status,
                   error.text, wrong[i].part);
            check_failures++;
        }
    }
}

/* --- What is right -------------------------------------------------------------- */

static const struct {
    const char *value;
    uint64_t bytes;
} sizes[] = {
    { "512", 512ull << 20 }, { "64M", 64ull << 20 },    { "64m", 64ull << 20 },
    { "1G", 1ull << 30 },    { "3g", 3ull << 30 },      { "2048k", 2ull << 20 },
    { "3584", 3584ull << 20 }, { "2049K", (2ull << 20) }, /* whole pages */
};

static void test_sizes(void)
{
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        struct config config;
        struct error error;
        char line[64];

        snprintf(line, sizeof(line), "run -m %s k", sizes[i].value);
        CHECK_EQ(parse(line, &config, &error), 0);
        CHECK_EQ(config.memory, sizes[i].bytes);
    }
}

static void test_defaults(void)
{
    struct config config;
    struct error error;

    CHECK_EQ(parse("run k", &config, &error), 0);
    CHECK_EQ(config.command, COMMAND_RUN);
    CHECK_EQ(strcmp(config.kernel, "k"), 0);
    CHECK_EQ(config.memory, 512ull << 20);
    CHECK_EQ(strcmp(config.engine->name, "bt"), 0);
    CHECK_EQ(strcmp(config.cpu, "host"), 0);
    CHECK_EQ(strcmp(config.append, ""), 0);
    CHECK_EQ(config.serial[0].kind, CONSOLE_STDIO);
    CHECK_EQ(config.serial[0].raw, true);
    CHECK_EQ(config.serial[1].kind, CONSOLE_NONE);
    CHECK_EQ(config.debugcon.kind, CONSOLE_NONE);
    CHECK_EQ(config.isa.debug_exit || config.no_reboot || config.stats || config.timeout_ns, 0);
}

static void test_values(void)
{
    struct config config;
    struct error error;

    CHECK_EQ(parse("run --m 64 -engine interp -serial file:/a:b -serial pty -debugcon stdio "
                   "-device isa-debug-exit,iobase=0xf4,iosize=4 --no-reboot -stats -- -k",
                   &config, &error), 0);
    CHECK_EQ(config.memory, 64ull << 20);
    CHECK_EQ(config.serial[0].kind, CONSOLE_FILE);
    CHECK_EQ(strcmp(config.serial[0].path, "/a:b"), 0);
    CHECK_EQ(config.serial[1].kind, CONSOLE_PTY);
    CHECK_EQ(config.debugcon.kind, CONSOLE_STDIO);
    CHECK_EQ(config.isa.debug_exit, true);
    CHECK_EQ(config.isa.debug_exit_base, 0xf4);
    CHECK_EQ(config.isa.debug_exit_size, 4);
    CHECK_EQ(config.no_reboot, true);
    CHECK_EQ(strcmp(config.kernel, "-k"), 0);
    CHECK_EQ(parse("run -device isa-debug-exit -timeout 1.25 -smp 1 -D - "
                   "-serial unix:/s,server,nowait -monitor unix:/m,,n,server=on,wait=off "
                   "-serial telnet:[::1]:4444,server=on,wait=off "
                   "-gdb unix:/g,server,wait k", &config, &error), 0);
    CHECK_EQ(config.serial[1].kind, CONSOLE_TCP);
    CHECK_EQ(config.serial[1].tcp.telnet && config.serial[1].tcp.listens, true);
    CHECK_EQ(strcmp(config.serial[1].tcp.place.host, "::1"), 0);
    CHECK_EQ(strcmp(config.serial[1].tcp.place.port, "4444"), 0);
    CHECK_EQ(config.isa.debug_exit_base, 0x501);
    CHECK_EQ(config.isa.debug_exit_size, 2);
    CHECK_EQ(config.timeout_ns, 1250000000);
    CHECK_EQ(config.serial[0].kind, CONSOLE_UNIX);
    CHECK_EQ(strcmp(config.serial[0].path, "/s"), 0);
    CHECK_EQ(strcmp(config.control.path, "/m,n"), 0);
    CHECK_EQ(strcmp(config.debug.path, "/g"), 0);
}

/* As QEMU has it: a console, and what it belongs to, in either order. */
static void test_chardevs(void)
{
    static struct config config;
    struct error error;

    CHECK_EQ(parse("run -device isa-serial,chardev=a -serial chardev:b -chardev pty,id=a -chardev "
                   "file,path=/x,id=b -chardev file,path=/y,,z,id=c -device isa-debugcon,iobase="
                   "0x402,chardev=c -device virtconsole,chardev=d -chardev null,id=d k",
                   &config, &error), 0);
    CHECK_EQ(config.serials, 2);
    CHECK_EQ(config.serial[0].kind, CONSOLE_PTY);
    CHECK_EQ(config.serial[1].kind == CONSOLE_FILE && !strcmp(config.serial[1].path, "/x"), true);
    CHECK_EQ(config.debugcon.kind == CONSOLE_FILE && !strcmp(config.debugcon.path, "/y,z"), true);
    CHECK_EQ(config.isa.debugcon_base, 0x402);
    CHECK_EQ(config.virtio.console.kind, CONSOLE_NULL);
    CHECK_EQ(parse("run -debugcon stdio -serial null k", &config, &error), 0);
    CHECK_EQ(config.isa.debugcon_base, 0);
}

/* As QEMU has it: a device and what is behind it, in either order. */
static void test_pairs(void)
{
    struct config config;
    struct error error;

    CHECK_EQ(parse("run -device virtio-net-pci,netdev=b,mac=52:54:00:00:00:07,id=x,bus=pci.0 "
                   "-netdev user,id=a,hostfwd=tcp::2222-:22,hostname=x,,y "
                   "-netdev tap,id=b,ifname=t0 "
                   "-device e1000,netdev=a k", &config, &error), 0);
    CHECK_EQ(config.nics.count, 2);
    CHECK_EQ(config.nics.nic[0].net.kind, NET_TAP);
    CHECK_EQ(config.nics.nic[0].model, NIC_VIRTIO);
    CHECK_EQ(config.nics.nic[0].net.mac[5], 7);
    CHECK_EQ(config.nics.nic[1].model, NIC_E1000);
    CHECK_EQ(config.nics.nic[1].net.user.forward[0].guest_port, 22);
    CHECK_EQ(strcmp(config.nics.nic[1].net.user.host_name, "x,y"), 0);
    CHECK_EQ(parse("run -net user -net nic,macaddr=52:54:00:00:00:08,vlan=0 k", &config, &error),
             0);
    CHECK_EQ(config.nics.nic[0].model, NIC_E1000);
    CHECK_EQ(config.nics.nic[0].net.mac[5], 8);
    CHECK_EQ(parse("run -net nic,netdev=b,model=virtio "
                   "-net nic,netdev=a,macaddr=52:54:00:00:00:09 "
                   "-object filter-dump,id=f,netdev=b,file=b,,c,maxlen=99,queue=all "
                   "-netdev user,id=a,dhcpstart=10.0.2.9 -netdev user,id=b k", &config, &error), 0);
    CHECK_EQ(config.nics.count, 2);
    CHECK_EQ(strcmp(config.nics.nic[0].dump, "b,c"), 0);
    CHECK_EQ(config.nics.nic[0].dump_length, 99);
    CHECK_EQ(config.nics.nic[1].dump == NULL, true);
    CHECK_EQ(config.nics.nic[0].model, NIC_VIRTIO);
    CHECK_EQ(config.nics.nic[1].model, NIC_E1000);
    CHECK_EQ(config.nics.nic[1].net.mac[5], 9);
    CHECK_EQ(parse("run -drive file=x,if=none,id=d -drive if=none,id=c,media=cdrom -drive "
                   "file=y,if=none,id=e -device ide-hd,drive=d,bus=ide.1,unit=1 -device "
                   "virtio-blk-pci,drive=e,serial=abc,bootindex=1,share-rw=off "
                   "-device ide-cd,drive=c", &config, &error), 0);
    CHECK_EQ(config.drives.drive[0].interface, DRIVE_IDE);
    CHECK_EQ(config.drives.drive[0].index, 3);
    CHECK_EQ(config.drives.drive[1].index, 2);
    CHECK_EQ(config.drives.drive[2].interface, DRIVE_VIRTIO);
    CHECK_EQ(strcmp(config.drives.drive[2].serial, "abc"), 0);
    CHECK_EQ(parse("run -drive file=x,if=none,id=d -drive file=y,if=none,id=e -drive "
                   "file=v,if=virtio -drive file=z,if=none,id=f -drive file=w,if=none,id=g "
                   "-device ide-hd,drive=g,bus=ide.0 -device virtio-blk,drive=e -device "
                   "ide-hd,drive=f,bus=ide.0 -device virtio-blk,drive=d", &config, &error), 0);
    CHECK_EQ(config.drives.drive[0].index, 2); /* by -device, after what has none */
    CHECK_EQ(config.drives.drive[1].index, 1);
    CHECK_EQ(config.drives.drive[2].index, 0);
    CHECK_EQ(config.drives.drive[3].index, 1); /* the bus's other unit */
    CHECK_EQ(config.drives.drive[4].index, 0);
}

/* A monitor by -chardev and -mon: beside a console, or alone. */
static void test_mon(void)
{
    static struct config config;
    struct error error;

    CHECK_EQ(parse("run -chardev stdio,id=c,mux=on,signal=off -serial chardev:c "
                   "-mon chardev=c,mode=readline k", &config, &error), 0);
    CHECK_EQ(config.serial[0].kind, CONSOLE_STDIO);
    CHECK_EQ(config.serial[0].raw && config.serial[0].monitor, true);
    CHECK_EQ(config.control.where, CONTROL_NOWHERE);
    CHECK_EQ(parse("run -mon m -chardev socket,path=/s,id=m,server=on,wait=off -serial null k",
                   &config, &error), 0);
    CHECK_EQ(config.control.where, CONTROL_UNIX);
    CHECK_EQ(strcmp(config.control.path, "/s"), 0);
    CHECK_EQ(parse("run -mon m -chardev stdio,id=m k", &config, &error), 0);
    CHECK_EQ(config.control.where, CONTROL_STDIO);
    CHECK_EQ(config.serial[0].kind, CONSOLE_NULL);
    CHECK_EQ(parse("run -chardev socket,id=m,host=127.0.0.1,port=4444,server=on,telnet=on -mon m k",
                   &config, &error), 0);
    CHECK_EQ(config.control.where, CONTROL_TCP);
    CHECK_EQ(config.control.tcp.telnet, true);
    CHECK_EQ(parse("run -serial tcp:host:4444 k", &config, &error), 0);
    CHECK_EQ(config.serial[0].kind, CONSOLE_TCP);
    CHECK_EQ(config.serial[0].tcp.listens, false);
    CHECK_EQ(parse("run -monitor tcp::4444,server,nowait -nographic k", &config, &error), 0);
    CHECK_EQ(config.control.where, CONTROL_TCP);
    CHECK_EQ(strcmp(config.control.tcp.place.port, "4444"), 0);
    CHECK_EQ(config.control.tcp.telnet, false);
    CHECK_EQ(parse("run -monitor telnet:127.0.0.1:4445,server k", &config, &error), 0);
    CHECK_EQ(config.control.tcp.telnet, true);
    CHECK_EQ(parse("run -monitor telnet:127.0.0.1:4445 k", &config, &error), -1);
    CHECK_EQ(strstr(error.text, "write telnet:127.0.0.1:4445,server") != NULL, true);
}

/* What QEMU's users write where novt has something like it. */
static void test_likeness(void)
{
    static struct config config;
    struct error error;

    CHECK_EQ(parse("run -d int,cpu_reset,guest_errors -d mmu,exec -display gtk,zoom-to-fit=on "
                   "-vga cirrus -m 64M,slots=2,maxmem=1G -smp cpus=1,cores=1,threads=1 -echr 0x14 "
                   "-action reboot=shutdown,panic=pause -serial /dev/null "
                   "-debugcon /dev/stdout k", &config, &error), 0);
    CHECK_EQ(strcmp(config.log.topics, "int,guest_errors,mmu"), 0);
    CHECK_EQ(config.display.kind, DISPLAY_SDL);
    CHECK_EQ(config.display.vga, VGA_STD);
    CHECK_EQ(config.memory, 64 << 20);
    CHECK_EQ(config.escape, 20);
    CHECK_EQ(config.no_reboot, true);
    CHECK_EQ(config.serial[0].kind, CONSOLE_FILE);
    CHECK_EQ(strcmp(config.debugcon.path, "/dev/stdout"), 0);
    CHECK_EQ(parse("run -fw_cfg opt/a,string=b,,c -fw_cfg name=opt/d,file=/e "
                   "-option-rom /f/g.rom,bootindex=1 k", &config, &error), 0);
    CHECK_EQ(config.fw_files.count, 3);
    CHECK_EQ(strcmp(config.fw_files.file[0].name, "opt/a"), 0);
    CHECK_EQ(strcmp(config.fw_files.file[0].string, "b,c"), 0);
    CHECK_EQ(strcmp(config.fw_files.file[1].path, "/e"), 0);
    CHECK_EQ(strcmp(config.fw_files.file[2].name, "g.rom"), 0);
    CHECK_EQ(strcmp(config.fw_files.file[2].path, "/f/g.rom"), 0);
}

static void test_clock(void)
{
    uint64_t now = (uint64_t)time(NULL);
    struct config config;
    struct error error;

    CHECK_EQ(parse("run -rtc base=2006-06-17T16:01:21,clock=vm k", &config, &error), 0);
    CHECK_EQ(config_clock_now(&config.clock), 1150560081);
    CHECK_EQ(parse("run -rtc base=2000-02-29 k", &config, &error), 0);
    CHECK_EQ(config_clock_now(&config.clock), 951782400);
    CHECK_EQ(parse("run -rtc driftfix=slew,base=localtime k", &config, &error), 0);
    setenv("TZ", "XXX-5", 1);
    CHECK_EQ(config_clock_now(&config.clock) - now - 5 * 3600 < 3600, true);
}

static void test_raw(void)
{
    struct config config;
    struct error error;

    CHECK_EQ(parse("run -serial stdio k", &config, &error), 0);
    CHECK_EQ(config.serial[0].raw, false);
    CHECK_EQ(parse("run -serial stdio -nographic k", &config, &error), 0);
    CHECK_EQ(config.serial[0].raw, true);
    CHECK_EQ(parse("run -nographic -serial mon:stdio k", &config, &error), 0);
    CHECK_EQ(config.serial[0].raw, true);
    CHECK_EQ(parse("run -nographic -serial file:x k", &config, &error), 0);
    CHECK_EQ(config.serial[0].kind, CONSOLE_FILE);
}

static void test_commands(void)
{
    static const struct {
        const char *line;
        enum command command;
    } lines[] = {
        { "doctor", COMMAND_DOCTOR },        { "doctor -quick", COMMAND_DOCTOR },
        { "help", COMMAND_HELP },
        { "-h", COMMAND_HELP },              { "--help", COMMAND_HELP },
        { "-version", COMMAND_VERSION },     { "--version", COMMAND_VERSION },
        { "run -h", COMMAND_HELP },          { "doctor --help", COMMAND_HELP },
        { "run -cpu help", COMMAND_CPU_LIST }, { "run -d help", COMMAND_LOG_LIST },
        { "run -engine trap -audit k", COMMAND_RUN },
        { "run -engine trap -audit all k", COMMAND_RUN },
        { "run -engine help", COMMAND_ENGINE_LIST },
        { "run -device help", COMMAND_DEVICE_LIST }, { "run -device ?", COMMAND_DEVICE_LIST },
        { "run -enable-kvm -machine pc -M pc -accel tcg k", COMMAND_RUN },
        { "run -vnc :1 -curses k", COMMAND_RUN },
        { "run -vnc none -device pc-testdev -device pci-testdev k", COMMAND_RUN },
        { "run -net none -monitor null -no-shutdown -rtc base=utc -parallel none k", COMMAND_RUN },
        { "run -boot d k", COMMAND_RUN },
        { "run -seed 5 -audio none -numa node -set a.b.c=d -dfilter 1 -no-quit k", COMMAND_RUN },
        { "run -boot d,strict=on,splash-time=5 -m size=64M -smp 1,sockets=1 -cpu max",
          COMMAND_RUN },
        { "run -object rng-random,id=r -device usb-tablet -device hda-duplex k",
          COMMAND_RUN },
    };

    for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
        struct config config;
        struct error error;

        CHECK_EQ(parse(lines[i].line, &config, &error), 0);
        CHECK_EQ(config.command, lines[i].command);
    }
}

/* What is named without an option: a kernel, or a disk if it begins with a boot sector. */
static void test_operand(void)
{
    char path[] = "/tmp/novt-operand-XXXXXX", line[128];
    uint8_t sector[512] = { [510] = 0x55, 0xaa };
    struct config config;
    struct error error;
    int fd = mkstemp(path);

    CHECK_EQ(write(fd, sector, sizeof(sector)), sizeof(sector));
    close(fd);
    snprintf(line, sizeof(line), "run -hdb x %s -m 5", path);
    CHECK_EQ(parse(line, &config, &error), 0);
    CHECK_EQ(config.kernel == NULL && config.firmware, true);
    CHECK_EQ(config.drives.count, 2);
    CHECK_EQ(config.drives.drive[1].index, 0);
    CHECK_EQ(strcmp(config.drives.drive[1].file, path), 0);
    snprintf(line, sizeof(line), "run -hda x %s", path);
    CHECK_EQ(parse(line, &config, &error), -1);
    CHECK_EQ(strstr(error.text, "is there already") != NULL, true);
    snprintf(line, sizeof(line), "run -kernel k %s", path);
    CHECK_EQ(parse(line, &config, &error), 0);
    CHECK_EQ(strcmp(config.kernel, "k"), 0);
    CHECK_EQ(config.drives.count, 1);
    unlink(path);
}

/* A name with a line break in it must not make two lines. */
static void test_one_line(void)
{
    char *argv[] = { "novt", "run", "-m", "1\n2\033[2J", "k" };
    struct error error = { 0 };
    struct config config;

    CHECK_EQ(config_parse(&config, 5, argv, &error), -1);
    CHECK_EQ(strchr(error.text, '\n') || strchr(error.text, '\033'), 0);
    CHECK_EQ(strstr(error.text, "1?2?[2J") != NULL, 1);
}

int main(void)
{
    test_wrong();
    test_sizes();
    test_defaults();
    test_values();
    test_raw();
    test_chardevs();
    test_pairs();
    test_mon();
    test_likeness();
    test_clock();
    test_commands();
    test_operand();
    test_one_line();
    return CHECK_DONE();
}
