/* What the values of several options have in common. */
#ifndef FRONTEND_CONFIG_TEXT_H
#define FRONTEND_CONFIG_TEXT_H

/* Cuts the next piece off *rest, up to a comma; two commas are one that belongs to it. NULL: there
 * is none. The text is changed; the piece is a part of it. */
char *config_text_next(char **rest);

/* What is behind NAME= in a piece; NULL: it is something else. */
const char *config_text_value(const char *piece, const char *name);

#endif
