/* Text and thumbnails of the pages.
 * Owner rule: see html.h. */
#include "report/html.h"

#include <stdlib.h>

#include "data/text.h"

void kf__html_text(FILE *f, const char *s) {
    while (*s) {
        int n = (int)kf__utf8(s);
        const char *as = *s == '&'    ? "&amp;"
                         : *s == '<'  ? "&lt;"
                         : *s == '>'  ? "&gt;"
                         : *s == '"'  ? "&quot;"
                         : *s == '\'' ? "&#39;"
                                      : NULL;
        if (n == 0) as = "\xef\xbf\xbd";
        if (n == 1 && ((unsigned char)*s < 32 || *s == 127)) as = " ";
        if (as) fputs(as, f);
        else fwrite(s, 1, (size_t)n, f);
        s += n ? n : 1;
    }
}

void kf__html_head(FILE *f, const char *title, const char *style) {
    fputs("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
          "content=\"width=device-width\">\n"
          "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
          "img-src data:\">\n<title>",
          f);
    kf__html_text(f, title);
    fputs("</title>\n<style>\nbody{font:15px/1.5 sans-serif;max-width:72em;margin:2em auto;padding:0 "
          "1em;color:#222;background:#fff}\n"
          "table{border-collapse:collapse;margin:1em 0}th,td{padding:.2em .7em;border-bottom:1px solid "
          "#ddd;text-align:right}\n"
          "th:first-child,td:first-child,.t{text-align:left}svg{max-width:100%;height:auto}svg text{font:11px "
          "sans-serif;fill:#444}\n",
          f);
    fputs(style, f);
    fputs("</style></head><body>\n<h1>", f);
    kf__html_text(f, title);
    fputs("</h1>\n", f);
}

static void base64(FILE *f, const uint8_t *p, size_t n) {
    static const char DIGIT[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < n; i += 3) {
        uint32_t v = (uint32_t)p[i] << 16;
        if (i + 1 < n) v |= (uint32_t)p[i + 1] << 8;
        if (i + 2 < n) v |= p[i + 2];
        fputc(DIGIT[v >> 18], f);
        fputc(DIGIT[v >> 12 & 63], f);
        fputc(i + 1 < n ? DIGIT[v >> 6 & 63] : '=', f);
        fputc(i + 2 < n ? DIGIT[v & 63] : '=', f);
    }
}

bool kf__html_thumbnail(FILE *f, const kf_image *image, int32_t side) {
    int32_t longest = image->width > image->height ? image->width : image->height;
    int32_t w = longest > side ? (int32_t)((int64_t)image->width * side / longest) : image->width,
            h = longest > side ? (int32_t)((int64_t)image->height * side / longest) : image->height;
    kf_image small;
    kf_error err;
    void *data;
    size_t n;
    if (!w) w = 1;
    if (!h) h = 1;
    if (kf_image_resize(image, w, h, KF_FILTER_BILINEAR, NULL, &small, &err) != KF_OK) return false;
    bool ok = kf_image_encode_jpeg(&small, 75, &data, &n, &err) == KF_OK;
    kf_image_free(&small);
    if (!ok) return false;
    fprintf(f, "<img width=\"%d\" height=\"%d\" alt=\"\" src=\"data:image/jpeg;base64,", w, h);
    base64(f, data, n);
    fputs("\">", f);
    free(data);
    return true;
}
