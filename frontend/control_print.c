/* Answers of the control commands, for people: a line for each value, indented where they are
 * deep. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "frontend/control.h"
#include "frontend/control_command.h"

static void print_scalar(FILE *out, const json_t *value)
{
    char *text;

    if (json_is_string(value)) {
        fputs(json_string_value(value), out);
        return;
    }
    text = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(6) | JSON_COMPACT);
    fputs(text ? text : "?", out);
    free(text);
}

/* Flat objects and all arrays' elements: on one line. */
static void print_line(FILE *out, const json_t *value)
{
    const char *name, *gap = "";
    json_t *part;

    if (!json_is_object(value)) {
        print_scalar(out, value);
        return;
    }
    json_object_foreach((json_t *)value, name, part) {
        fprintf(out, "%s%s ", gap, name);
        print_scalar(out, part);
        gap = "  ";
    }
}

static bool is_deep(const json_t *value)
{
    const char *name;
    json_t *part;

    json_object_foreach((json_t *)value, name, part)
        if (json_is_object(part) || json_is_array(part))
            return true;
    return json_object_size(value) > 6;
}

static void print_object(FILE *out, const json_t *object, int indent)
{
    const char *name;
    json_t *value, *row;
    size_t i;

    json_object_foreach((json_t *)object, name, value) {
        fprintf(out, "%*s%s:", indent, "", name);
        if (json_is_array(value)) {
            json_array_foreach(value, i, row) {
                fprintf(out, "\n%*s", indent + 2, "");
                print_line(out, row);
            }
            fputc('\n', out);
        } else if (json_is_object(value) && is_deep(value)) {
            fputc('\n', out);
            print_object(out, value, indent + 2);
        } else {
            fputc(' ', out);
            print_line(out, value);
            fputc('\n', out);
        }
    }
}

void control_print(FILE *out, const char *name, const json_t *returned)
{
    if (!strcmp(name, "explain"))
        control_explain_print(out, returned);
    else
        print_object(out, returned, 0);
}
