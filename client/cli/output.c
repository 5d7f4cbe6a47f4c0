/* SPDX-License-Identifier: Apache-2.0 */
/* output.c - see output.h. Layer: L4 (client/cli). */
#include "output.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define COLUMNS_MAX 48

enum format { FORMAT_TABLE, FORMAT_WIDE, FORMAT_JSON, FORMAT_JSONL, FORMAT_CSV, FORMAT_ID, FORMAT_NONE };

static const char *const format_names[] = {"table", "wide", "json", "jsonl", "csv", "id"};

/* What is to be printed, and how. */
struct page {
        const struct output_kind *kind;
        const char *rows;
        size_t count;
        const struct output_column *columns[COLUMNS_MAX];
        size_t columns_count;
        size_t *order; /* of the rows */
        bool header;
};

static enum format format_of(const struct cli *cli)
{
        const char *name = cli_value(cli, "output");

        if (name == NULL)
                return FORMAT_TABLE;
        for (size_t i = 0; i < sizeof format_names / sizeof format_names[0]; i++)
                if (strcmp(name, format_names[i]) == 0)
                        return (enum format)i;
        return FORMAT_NONE;
}

bool output_is_json(const struct cli *cli)
{
        enum format format = format_of(cli);

        return format == FORMAT_JSON || format == FORMAT_JSONL;
}

/* ---- cells -------------------------------------------------------------------------------------------------- */

void output_json_text(FILE *out, const char *text)
{
        fputc('"', out);
        for (; *text != '\0'; text++) {
                unsigned char c = (unsigned char)*text;

                if (c == '"' || c == '\\')
                        fprintf(out, "\\%c", c);
                else if (c == '\n')
                        fputs("\\n", out);
                else if (c < 0x20 || c == 0x7F)
                        fprintf(out, "\\u%04x", c);
                else
                        fputc(c, out);
        }
        fputc('"', out);
}

static void json_labels(FILE *out, const struct output_value *value)
{
        fputc('{', out);
        for (size_t i = 0; i < value->count; i++) {
                fputs(i > 0 ? "," : "", out);
                output_json_text(out, value->pairs[i].key);
                fputc(':', out);
                output_json_text(out, value->pairs[i].value);
        }
        fputc('}', out);
}

static void json_value(FILE *out, const struct output_column *column, const struct output_value *value)
{
        char text[64];

        if (value->none) {
                fputs("null", out);
                return;
        }
        switch (column->type) {
        case OUTPUT_TEXT:
                output_json_text(out, value->text);
                break;
        case OUTPUT_TIME:
                output_json_text(out, output_time((int64_t)value->number, text, sizeof text));
                break;
        case OUTPUT_DURATION:
                fprintf(out, "%.3f", value->number / 1000);
                break;
        case OUTPUT_BOOL:
                fputs(value->number != 0 ? "true" : "false", out);
                break;
        case OUTPUT_LABELS:
                json_labels(out, value);
                break;
        case OUTPUT_DECIMAL:
        case OUTPUT_PERCENT:
                fprintf(out, "%.6g", value->number);
                break;
        case OUTPUT_JOB:
                fprintf(out, plexus_id_is_task(value->id) ? "\"%s\"" : "%s", ID_TEXT(value->id));
                break;
        case OUTPUT_INTEGER:
        case OUTPUT_BYTES:
                fprintf(out, "%.0f", value->number);
                break;
        }
}

/* A cell for people, in value->room where it must be made. */
static const char *cell_text(const struct output_column *column, struct output_value *value)
{
        size_t used = 0;

        if (value->none)
                return "";
        switch (column->type) {
        case OUTPUT_TEXT:
                return value->text;
        case OUTPUT_TIME:
                return output_time((int64_t)value->number, value->room, sizeof value->room);
        case OUTPUT_DURATION:
                return output_duration((uint64_t)value->number, value->room, sizeof value->room);
        case OUTPUT_BYTES:
                return output_bytes((uint64_t)value->number, value->room, sizeof value->room);
        case OUTPUT_BOOL:
                return value->number != 0 ? "yes" : "no";
        case OUTPUT_PERCENT:
                snprintf(value->room, sizeof value->room, "%.0f%%", floor(value->number * 100));
                return value->room;
        case OUTPUT_DECIMAL:
                snprintf(value->room, sizeof value->room, "%.4g", value->number);
                return value->room;
        case OUTPUT_JOB:
                return plexus_id_text(value->id, value->room);
        case OUTPUT_INTEGER:
                snprintf(value->room, sizeof value->room, "%.0f", value->number);
                return value->room;
        case OUTPUT_LABELS:
                value->room[0] = '\0';
                for (size_t i = 0; i < value->count && used < sizeof value->room - 1; i++)
                        used += (size_t)snprintf(value->room + used, sizeof value->room - used, "%s%s=%s",
                                                 i > 0 ? "," : "", value->pairs[i].key,
                                                 value->pairs[i].value);
                return value->room;
        }
        return "";
}

static void get_value(const struct output_column *column, const void *row, struct output_value *ret_value)
{
        *ret_value = (struct output_value){.text = ""};
        column->get(row, ret_value);
        if (column->type == OUTPUT_TIME && ret_value->number <= 0)
                ret_value->none = true;
        if (column->type == OUTPUT_PERCENT && ret_value->number < 0)
                ret_value->none = true;
}

static const void *row_at(const struct page *page, size_t row)
{
        return page->rows + page->order[row] * page->kind->row_bytes;
}

static void get_cell(const struct page *page, size_t row, const struct output_column *column,
                     struct output_value *ret_value)
{
        get_value(column, row_at(page, row), ret_value);
}

void output_fields(FILE *out, const struct output_kind *kind, const void *row)
{
        for (const struct output_column *column = kind->columns; column->name != NULL; column++) {
                struct output_value value;

                get_value(column, row, &value);
                fputs(column == kind->columns ? "" : ",", out);
                output_json_text(out, column->json);
                fputc(':', out);
                json_value(out, column, &value);
        }
}

/* ---- formats -------------------------------------------------------------------------------------------------- */

static void print_json(const struct page *page)
{
        printf("{\"schema\":\"%s\",\"%s\":[", page->kind->schema, page->kind->list);
        for (size_t i = 0; i < page->count; i++) {
                fputs(i > 0 ? ",\n" : "\n", stdout);
                putchar('{');
                output_fields(stdout, page->kind, row_at(page, i));
                putchar('}');
        }
        fputs(page->count > 0 ? "\n]}\n" : "]}\n", stdout);
}

static void print_jsonl(const struct page *page)
{
        for (size_t i = 0; i < page->count; i++) {
                printf("{\"schema\":\"%s\",", page->kind->schema);
                output_fields(stdout, page->kind, row_at(page, i));
                puts("}");
        }
}

static void print_csv_cell(const char *text)
{
        if (strpbrk(text, ",\"\n\r") == NULL) {
                fputs(text, stdout);
                return;
        }
        putchar('"');
        for (; *text != '\0'; text++) {
                if (*text == '"')
                        putchar('"');
                putchar(*text);
        }
        putchar('"');
}

static void print_csv(const struct page *page)
{
        for (size_t i = 0; i < page->columns_count && page->header; i++)
                printf("%s%s", page->columns[i]->json, i + 1 < page->columns_count ? "," : "\n");
        for (size_t row = 0; row < page->count; row++) {
                for (size_t i = 0; i < page->columns_count; i++) {
                        struct output_value value;

                        get_cell(page, row, page->columns[i], &value);
                        fputs(i > 0 ? "," : "", stdout);
                        print_csv_cell(cell_text(page->columns[i], &value));
                }
                putchar('\n');
        }
}

static void print_ids(const struct page *page)
{
        for (size_t row = 0; row < page->count; row++) {
                struct output_value value;

                get_cell(page, row, &page->kind->columns[0], &value);
                printf("%s\n", cell_text(&page->kind->columns[0], &value));
        }
}

static bool is_state(const struct output_column *column)
{
        return strcmp(column->name, "STATE") == 0;
}

static void print_table(const struct cli *cli, const struct page *page)
{
        int widths[COLUMNS_MAX] = {0};

        for (size_t i = 0; i < page->columns_count; i++) {
                if (page->header)
                        widths[i] = output_width(page->columns[i]->name);
                for (size_t row = 0; row < page->count; row++) {
                        struct output_value value;
                        int width;

                        get_cell(page, row, page->columns[i], &value);
                        width = output_width(cell_text(page->columns[i], &value));
                        widths[i] = width > widths[i] ? width : widths[i];
                }
        }
        for (size_t i = 0; i < page->columns_count && page->header; i++)
                printf("%-*s%s", i + 1 < page->columns_count ? widths[i] : 0, page->columns[i]->name,
                       i + 1 < page->columns_count ? "  " : "\n");
        for (size_t row = 0; row < page->count; row++) {
                for (size_t i = 0; i < page->columns_count; i++) {
                        const struct output_column *column = page->columns[i];
                        bool last = i + 1 == page->columns_count;
                        struct output_value value;
                        const char *text;
                        const char *colour = "";

                        get_cell(page, row, column, &value);
                        text = cell_text(column, &value);
                        if (is_state(column))
                                colour = output_state_colour(cli->colour, plexus_state_from_name(text));
                        printf("%s%s%s%*s%s", colour, text, *colour != '\0' ? OUTPUT_COLOUR_END : "",
                               last ? 0 : widths[i] - output_width(text), "", last ? "\n" : "  ");
                }
        }
}

/* ---- columns and order --------------------------------------------------------------------------------------------- */

static const struct output_column *column_find(const struct output_kind *kind, const char *name,
                                               size_t length)
{
        for (const struct output_column *column = kind->columns; column->name != NULL; column++)
                if ((strlen(column->name) == length && strncasecmp(column->name, name, length) == 0) ||
                    (strlen(column->json) == length && strncasecmp(column->json, name, length) == 0))
                        return column;
        return NULL;
}

static int no_column(const struct cli *cli, const struct output_kind *kind, const char *name, size_t length)
{
        char all[1024] = "";
        size_t used = 0;

        for (const struct output_column *column = kind->columns; column->name != NULL; column++)
                used += (size_t)snprintf(all + used, sizeof all - used, "%s%s", used > 0 ? ", " : "",
                                         column->json);
        return cli_fail(cli, CLI_USAGE, "there is no column \"%.*s\"; there are %s", (int)length, name, all);
}

static int choose_columns(const struct cli *cli, struct page *page, enum format format)
{
        const char *names = cli_value(cli, "columns");

        if (names == NULL) {
                for (const struct output_column *c = page->kind->columns; c->name != NULL; c++)
                        if (format == FORMAT_CSV || (!c->hidden && (!c->wide || format == FORMAT_WIDE)))
                                page->columns[page->columns_count++] = c;
                return 0;
        }
        while (*names != '\0' && page->columns_count < COLUMNS_MAX) {
                size_t length = strcspn(names, ",");
                const struct output_column *column = column_find(page->kind, names, length);

                if (column == NULL)
                        return no_column(cli, page->kind, names, length);
                page->columns[page->columns_count++] = column;
                names += length + (names[length] == ',');
        }
        return 0;
}

struct sorting {
        const struct page *page;
        const struct output_column *column;
        int direction;
};

static int compare_rows(const void *a, const void *b, void *context)
{
        const struct sorting *sorting = context;
        const char *rows = sorting->page->rows;
        size_t size = sorting->page->kind->row_bytes;
        struct output_value x = {.text = ""};
        struct output_value y = {.text = ""};
        int order;

        sorting->column->get(rows + *(const size_t *)a * size, &x);
        sorting->column->get(rows + *(const size_t *)b * size, &y);
        if (sorting->column->type == OUTPUT_TEXT)
                order = strcmp(x.text, y.text);
        else
                order = (x.number > y.number) - (x.number < y.number);
        return order * sorting->direction;
}

static int sort_rows(const struct cli *cli, struct page *page)
{
        const char *name = cli_value(cli, "sort");
        struct sorting sorting = {.page = page, .direction = 1};

        if (name == NULL)
                return 0;
        if (*name == '-') {
                sorting.direction = -1;
                name++;
        }
        sorting.column = column_find(page->kind, name, strlen(name));
        if (sorting.column == NULL)
                return no_column(cli, page->kind, name, strlen(name));
        qsort_r(page->order, page->count, sizeof *page->order, compare_rows, &sorting);
        return 0;
}

void output_table(const struct cli *cli, const struct output_kind *kind, const void *rows, size_t count)
{
        struct page page = {.kind = kind, .rows = rows, .count = count, .header = true};

        page.order = calloc(count + 1, sizeof *page.order);
        if (page.order == NULL)
                return;
        for (size_t i = 0; i < count; i++)
                page.order[i] = i;
        for (const struct output_column *column = kind->columns; column->name != NULL; column++)
                if (!column->wide && !column->hidden)
                        page.columns[page.columns_count++] = column;
        print_table(cli, &page);
        free(page.order);
}

static void print_page(const struct cli *cli, const struct page *page, enum format format)
{
        switch (format) {
        case FORMAT_JSON:
                print_json(page);
                break;
        case FORMAT_JSONL:
                print_jsonl(page);
                break;
        case FORMAT_CSV:
                print_csv(page);
                break;
        case FORMAT_ID:
                print_ids(page);
                break;
        default:
                print_table(cli, page);
        }
}

int output_rows(const struct cli *cli, const struct output_kind *kind, const void *rows, size_t count,
                const char *footer)
{
        enum format format = format_of(cli);
        struct page page = {
                .kind = kind, .rows = rows, .count = count, .header = !cli_has(cli, "no-header")};
        int code;

        if (format == FORMAT_NONE)
                return cli_fail(cli, CLI_USAGE, "-o %s is none of table, wide, json, jsonl, csv, id",
                                cli_value(cli, "output"));
        page.order = calloc(count + 1, sizeof *page.order);
        if (page.order == NULL)
                return cli_fail(cli, CLI_FAULT, "out of memory");
        for (size_t i = 0; i < count; i++)
                page.order[i] = i;
        code = choose_columns(cli, &page, format);
        if (code == 0)
                code = sort_rows(cli, &page);
        if (code == 0) {
                print_page(cli, &page, format);
                if (footer != NULL && page.header && !cli->quiet &&
                    (format == FORMAT_TABLE || format == FORMAT_WIDE))
                        puts(footer);
        }
        free(page.order);
        return code;
}
