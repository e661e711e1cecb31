
/*
 * Copyright (C) Delta contributors
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>
#include "files.h"


static int files_path(upstream_request_t *r, char path[PATH_MAX],
    const char *name);
static int files_put(const char *path, const char *data, size_t len);


static const struct {
    const char  *type;
    size_t       at;
    size_t       n;
    const char  *magic;
} files_images[] = {
    { "image/png", 0, 8, "\x89PNG\r\n\x1a\n" },
    { "image/jpeg", 0, 3, "\xff\xd8\xff" },
    { "image/gif", 0, 4, "GIF8" },
    { "image/webp", 8, 4, "WEBP" },
};


const char *
files_image(const char *data, size_t len)
{
    size_t  i;

    for (i = 0; i < sizeof(files_images) / sizeof(files_images[0]); i++) {

        if (len >= files_images[i].at + files_images[i].n
            && memcmp(data + files_images[i].at, files_images[i].magic,
                      files_images[i].n)
               == 0)
        {
            return files_images[i].type;
        }
    }

    return NULL;
}


int
files_write(upstream_request_t *r, const char *name)
{
    char  path[PATH_MAX];

    if (mkdir(r->upstream->files, 0700) != 0 && errno != EEXIST) {
        upstream_log("cannot make %s: %s", r->upstream->files,
                     strerror(errno));
    }

    if (files_path(r, path, name) != 0
        || files_put(path, r->body, r->len) != 0)
    {
        upstream_log("cannot write %s: %s", name, strerror(errno));
        return upstream_error(r, 503, "unavailable", "the file cannot be "
                              "kept now: try again later");
    }

    snprintf(r->file_new, sizeof(r->file_new), "%s", name);

    return 0;
}


static int
files_put(const char *path, const char *data, size_t len)
{
    int      fd, rc;
    size_t   done;
    ssize_t  n;

    fd = open(path, O_WRONLY|O_CREAT|O_TRUNC|O_CLOEXEC|O_NOFOLLOW, 0600);
    if (fd == -1) {
        return -1;
    }

    n = 0;

    for (done = 0; done < len && n >= 0; done += n) {
        n = write(fd, data + done, len - done);
    }

    rc = n < 0 || fsync(fd) != 0 ? -1 : 0;
    close(fd);

    if (rc != 0) {
        unlink(path);
    }

    return rc;
}


void
files_remove(upstream_request_t *r, const char *name)
{
    if (r->file_old == NULL) {
        r->file_old = json_array();
    }

    json_array_append_new(r->file_old, json_string(name));
}


int
files_answer(upstream_request_t *r, const char *name)
{
    int          fd;
    char         path[PATH_MAX];
    size_t       len;
    ssize_t      n;
    const char  *type;

    fd = files_path(r, path, name) == 0
         ? open(path, O_RDONLY|O_CLOEXEC|O_NOFOLLOW) : -1;

    if (fd == -1) {
        return upstream_error(r, 404, "not_found", "the file is gone");
    }

    r->file = malloc(UPSTREAM_FILE_MAX);
    n = r->file ? 1 : -1;

    for (len = 0; n > 0 && len < UPSTREAM_FILE_MAX; len += n) {
        n = read(fd, r->file + len, UPSTREAM_FILE_MAX - len);
    }

    close(fd);

    if (n < 0) {
        free(r->file);
        r->file = NULL;
        return upstream_error(r, 503, "unavailable", "the file cannot be "
                              "read now: try again later");
    }

    r->file_len = len;
    type = files_image(r->file, len);
    r->file_type = type ? type : "application/octet-stream";

    return 200;
}


void
files_settle(upstream_request_t *r, int committed)
{
    char     path[PATH_MAX];
    size_t   i;
    json_t  *name;

    if (!committed && r->file_new[0]
        && files_path(r, path, r->file_new) == 0)
    {
        unlink(path);
    }

    json_array_foreach(r->file_old, i, name) {

        if (committed && files_path(r, path, json_string_value(name)) == 0) {
            unlink(path);
        }
    }

    json_decref(r->file_old);
    r->file_old = NULL;
    r->file_new[0] = '\0';
}


static int
files_path(upstream_request_t *r, char path[PATH_MAX], const char *name)
{
    int  n;

    n = snprintf(path, PATH_MAX, "%s/%s", r->upstream->files, name);

    return n > 0 && n < PATH_MAX ? 0 : -1;
}
