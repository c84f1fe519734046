/* The page of novt explain --html: one file that needs no other. */
#ifndef FRONTEND_EXPLAIN_HTML_H
#define FRONTEND_EXPLAIN_HTML_H

#include "translator/listing.h"

struct error;
struct explain_html;
struct explain_summary;

/* Makes the file, empty. window: how memory is reached. NULL, with *error. */
struct explain_html *explain_html_create(const char *path, const char *title, bool window,
                                         struct error *error);

/* In the order of addresses; summary has counted it. */
void explain_html_unit(struct explain_html *html, const struct listing_unit *unit,
                       const struct explain_summary *summary);

/* Writes the page and closes the file. 0, or -1 with *error. */
int explain_html_write(struct explain_html *html, const struct explain_summary *summary,
                       struct error *error);
void explain_html_destroy(struct explain_html *html); /* NULL is allowed */

#endif
