/*
 * hosts/init.c - the first process of an emulated host (emulated).
 *
 * Loads the modules that lie beside it, in the order of their names, puts a tmpfs over the
 * read-only file system of the machine outside, and runs the script /command in there.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void check(int result, const char *what)
{
    if (result < 0) {
        perror(what);
        reboot(RB_POWER_OFF);
    }
}

static void load_modules(void)
{
    struct dirent **names;
    int n = scandir("/modules", &names, NULL, alphasort);

    check(n, "/modules");
    check(chdir("/modules"), "/modules");
    for (int i = 0; i < n; i++) {
        const char *name = names[i]->d_name;
        int fd = open(name, O_RDONLY | O_CLOEXEC);

        if (name[0] != '.')
            check((int)syscall(SYS_finit_module, fd, "", 0), name);
        close(fd);
    }
}

static void mount_at(const char *source, const char *path, const char *type, unsigned long flags,
                     const char *options)
{
    mkdir(path, 0755);
    check(mount(source, path, type, flags, options), path);
}

static void enter_root(void)
{
    mount_at("outside", "/outside", "9p", MS_RDONLY,
             "trans=virtio,version=9p2000.L,cache=loose,msize=512000");
    mount_at("changes", "/changes", "tmpfs", 0, "size=60%");
    mkdir("/changes/upper", 0755);
    mkdir("/changes/work", 0755);
    mount_at("root", "/root", "overlay", 0,
             "lowerdir=/outside,upperdir=/changes/upper,workdir=/changes/work");
    check(chroot("/root"), "chroot");
    check(chdir("/"), "/");
    mount_at("proc", "/proc", "proc", 0, NULL);
    mount_at("sys", "/sys", "sysfs", 0, NULL);
    mount_at("dev", "/dev", "devtmpfs", 0, NULL);
    mount_at("pts", "/dev/pts", "devpts", 0, NULL);
    mount_at("shm", "/dev/shm", "tmpfs", 0, NULL);
    check(symlink("/proc/self/fd", "/dev/fd"), "/dev/fd");
}

int main(void)
{
    int status = 0, script = open("/command", O_RDONLY);
    pid_t child;

    check(script, "/command");
    load_modules();
    enter_root();
    child = fork();
    check(child, "fork");
    if (child == 0) {
        setsid();
        dup2(script, 9);
        execl("/bin/sh", "sh", "/dev/fd/9", (char *)NULL);
        _exit(127);
    }
    while (waitpid(-1, &status, 0) != child)
        ;
    printf("emulated host: exit status %d\n",
           WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    fflush(stdout);
    sync();
    sleep(1); /* the serial line is slow */
    reboot(RB_POWER_OFF);
    return 0;
}
