/* Requests and answers in words, for people. See control.h. */
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "frontend/control.h"
#include "frontend/control_table.h"

enum { WORDS_MAX = 256 };

static json_t *file_name(const char *word, const char *from)
{
    return from && *word != '/' ? json_sprintf("%s/%s", from, word) : json_string(word);
}

/* \n, \t and \\ */
static void unescape(char *text)
{
    char *to = text;

    for (; *text; text++) {
        if (*text == '\\' && text[1] && strchr("nt\\", text[1])) {
            text++;
            *to++ = *text == 'n' ? '\n' : *text == 't' ? '\t' : '\\';
        } else {
            *to++ = *text;
        }
    }
    *to = 0;
}

static json_t *text_from(char **words, int count)
{
    size_t size = 1;
    json_t *value;
    char *text;

    for (int i = 0; i < count; i++)
        size += strlen(words[i]) + 1;
    text = calloc(1, size);
    if (!text)
        return NULL;
    for (int i = 0; i < count; i++) {
        strcat(text, i ? " " : "");
        strcat(text, words[i]);
    }
    unescape(text);
    value = json_string(text);
    free(text);
    return value;
}

/* Whether the word can be this argument; the next one it is then, if this may be left out. */
static bool fits(const struct control_argument *argument, const char *word)
{
    int64_t number;

    if (argument->kind == FLAG)
        return !strcmp(word, argument->name);
    if (argument->kind == PLACE)
        return true;
    return control_is_number(word, &number) == (argument->kind == NUMBER) || !argument->optional;
}

static json_t *value_of(const struct control_argument *argument, char **words, int count,
                        const char *from)
{
    switch (argument->kind) {
    case FILE_NAME: return file_name(words[0], from);
    case TEXT: return text_from(words, count);
    case FLAG: return json_true();
    default: return json_string(words[0]);
    }
}

static int take_words(const struct control_row *command, json_t *arguments, char **words, int count,
                      const char *from, struct error *error)
{
    for (size_t i = 0; i < CONTROL_ARGUMENTS_MAX && command->argument[i].name && count; i++) {
        const struct control_argument *argument = &command->argument[i];
        int taken = argument->kind == TEXT ? count : 1;

        if (!fits(argument, words[0]))
            continue;
        if (json_object_set_new(arguments, argument->name,
                                value_of(argument, words, count, from)))
            return error_set(error, EX_USAGE, "%s: that is not UTF-8", command->name);
        words += taken;
        count -= taken;
    }
    if (count)
        return control_misused(command, words[0], "is too much or wrong", error);
    return control_check(command, arguments, error);
}

json_t *control_request(char **words, int count, const char *from, struct error *error)
{
    const struct control_row *command;
    json_t *arguments;

    if (!count) {
        error_set(error, EX_USAGE, "no command (help lists all)");
        return NULL;
    }
    command = control_find(words[0], error);
    if (!command)
        return NULL;
    arguments = json_object();
    if (take_words(command, arguments, words + 1, count - 1, from, error)) {
        json_decref(arguments);
        return NULL;
    }
    return json_pack("{s:s, s:o}", "execute", command->name, "arguments", arguments);
}

/* Words are parted by spaces; what is between quotes is one. */
static int split(char *line, char **words)
{
    int count = 0;

    while (count < WORDS_MAX) {
        char *end;

        line += strspn(line, " \t\r\n");
        if (!*line)
            break;
        if (*line == '"') {
            line++;
            end = line + strcspn(line, "\"");
        } else {
            end = line + strcspn(line, " \t\r\n");
        }
        words[count++] = line;
        if (!*end)
            break;
        *end = 0;
        line = end + 1;
    }
    return count;
}

static void answer_words(struct control *control, char *line, FILE *out)
{
    struct error error = { 0 };
    char *words[WORDS_MAX];
    int count = split(line, words);
    json_t *request, *result;

    if (!count)
        return;
    if (!strcmp(words[0], "help")) {
        control_help(out);
        return;
    }
    request = control_request(words, count, NULL, &error);
    result = json_object();
    if (!request || control_carry_out(control, request, result, &error))
        fprintf(out, "%s\n", error.text);
    else
        control_print(out, words[0], result);
    json_decref(result);
    json_decref(request);
}

char *control_answer_words(struct control *control, const char *line, size_t size)
{
    char *copy = malloc(size + 1), *text = NULL;
    FILE *out = open_memstream(&text, &(size_t){ 0 });

    if (copy && out) {
        memcpy(copy, line, size);
        copy[size] = 0;
        answer_words(control, copy, out);
    }
    free(copy);
    if (out && fclose(out)) {
        free(text);
        return NULL;
    }
    return text;
}
