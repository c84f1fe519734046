/* What novt makes in the file system: output files, and sockets with a name. */
#include "base/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/unix_socket.h"
#include "tests/check.h"

static long size_of(const char *path)
{
    struct stat st;

    return lstat(path, &st) ? -1 : (long)st.st_size;
}

static void test_file(void)
{
    int fd = output_open("file");

    CHECK_EQ(write(fd, "longer", 6), 6);
    CHECK_EQ(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    close(fd);
    fd = output_open("file");
    CHECK_EQ(size_of("file"), 0);
    close(fd);
    CHECK_EQ(output_open("absent/file"), -ENOENT);
    CHECK_EQ(output_open("."), -EISDIR);
}

/* Nobody reads: an error, not a wait. Somebody does: a stream like any other. */
static void test_fifo(void)
{
    char got[8] = "";
    FILE *file;
    int reader;

    CHECK_EQ(mkfifo("fifo", 0600), 0);
    CHECK_EQ(output_open("fifo"), -ENXIO);
    CHECK_EQ(output_stream("fifo") == NULL, true);
    CHECK_EQ(errno, ENXIO);
    reader = open("fifo", O_RDONLY | O_NONBLOCK);
    file = output_stream("fifo");
    CHECK_EQ(fputs("text", file) >= 0 && !fclose(file), true);
    CHECK_EQ(read(reader, got, sizeof(got)), 4);
    CHECK_EQ(strcmp(got, "text"), 0);
    close(reader);
}

/* What is no socket, and a socket that somebody listens to, are left alone. */
static void test_socket(void)
{
    int fd = output_open("file"), second;

    CHECK_EQ(write(fd, "mine", 4), 4);
    close(fd);
    CHECK_EQ(unix_socket_listen("file", false, 1), -EADDRINUSE);
    CHECK_EQ(size_of("file"), 4);
    CHECK_EQ(symlink("file", "link"), 0);
    CHECK_EQ(unix_socket_listen("link", false, 1), -EADDRINUSE);
    fd = unix_socket_listen("socket", false, 1);
    CHECK_EQ(fd >= 0, true);
    CHECK_EQ(unix_socket_listen("socket", false, 1), -EADDRINUSE);
    close(fd); /* its file stays, and nobody listens to it */
    second = unix_socket_listen("socket", false, 1);
    CHECK_EQ(second >= 0, true);
    close(second);
}

int main(void)
{
    char folder[] = "/tmp/novt-output-XXXXXX";

    if (!mkdtemp(folder) || chdir(folder))
        return 1;
    test_file();
    test_fifo();
    test_socket();
    for (unsigned i = 0; i < 4; i++)
        unlink((const char *[]){ "file", "fifo", "link", "socket" }[i]);
    rmdir(folder);
    return CHECK_DONE();
}
