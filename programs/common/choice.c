/* The options --list, --limit, --max-pixels and --strict.
 * Owner rule: see choice.h. */
#include "common/choice.h"

#include "common/cli.h"

enum { KEY_LIMIT = 0x4e01, KEY_STRICT, MOST = 1000000000 };

static const struct argp_option OPTIONS[] = {
    {"list", 'L', "FILE", 0, "only the pictures on its lines: file, or file,class_index", 5},
    {"limit", KEY_LIMIT, "N", 0, "N of the pictures, spread evenly", 5},
    {"max-pixels", CLI_KEY_MAX_PIXELS, "N", 0, CLI_MAX_PIXELS_HELP, 5},
    {"strict", KEY_STRICT, NULL, 0, "stop at the first picture that cannot be read (default: skip and count them)", 5},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state) {
    cli_choice *c = state->input;
    switch (key) {
    case 'L': c->list = arg; return 0;
    case KEY_LIMIT: c->limit = (size_t)cli_number(state, "--limit", arg, 1, MOST); return 0;
    case CLI_KEY_MAX_PIXELS: cli_max_pixels(state, arg); return 0;
    case KEY_STRICT: c->strict = true; return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

const struct argp cli_choice_argp = {.options = OPTIONS, .parser = parse};
