/* The parts of the server, without a socket: texts, base64, forms, packed bodies, JSON of strangers, paths, the guard,
 * the queue, models that are swapped while others use them, and what each file of the fuzz corpus is answered.
 * Owner rule: each test releases what it makes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>
#include <zlib.h>

#include "fixture.h"

#include "serve/base64.h"
#include "serve/inflate.h"
#include "serve/multipart.h"

static void texts(void **state) {
    static const struct {
        const char *in, *out;
    } ROWS[] = {{"", "\"\""},
                {"a\"b\\c", "\"a\\\"b\\\\c\""},
                {"\n\x01\x7f", "\"\\u000a\\u0001\\u007f\""},
                {"\xc3\xa9", "\"\xc3\xa9\""},
                {"\xc3", "\"\xef\xbf\xbd\""},
                {"\xf0\x9f\xa6", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
                {"\xf0\x9f\xa6\x8a!", "\"\xf0\x9f\xa6\x8a!\""},
                {NULL, "null"}};
    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        sv_text t = {0};
        sv_text_string(&t, ROWS[i].in);
        assert_string_equal(t.data, ROWS[i].out);
        sv_text_free(&t);
    }
    sv_text t = {0};
    char wide[2000];
    memset(wide, 'x', sizeof wide - 1), wide[sizeof wide - 1] = 0;
    sv_text_add(&t, "%s|", wide);
    sv_text_number(&t, 0.1f);
    sv_text_number(&t, (double)NAN);
    assert_string_equal(t.data + 1999, "|0.100000001null");
    sv_text_lose(&t);
    sv_text_put(&t, "more");
    assert_true(t.failed && !t.data);
    size_t n;
    assert_null(sv_text_take(&t, &n));
}

static void base64(void **state) {
    static const struct {
        const char *text, *bytes; /* NULL: refused */
    } ROWS[] = {{"", ""},
                {"Zg==", "f"},
                {"Zg", "f"},
                {"Zm8=", "fo"},
                {"Zm9v", "foo"},
                {"Zm9vYg==", "foob"},
                {"-_-_", "\xfb\xff\xbf"},
                {"+/+/", "\xfb\xff\xbf"},
                {"Z", NULL},
                {"Z===", NULL},
                {"====", NULL},
                {"Zm=v", NULL},
                {"Zm 9v", NULL},
                {"Zm9v\n", NULL}};
    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        uint8_t out[16];
        size_t n = 99;
        bool good = sv_base64(ROWS[i].text, strlen(ROWS[i].text), out, &n);
        assert_int_equal(good, ROWS[i].bytes != NULL);
        if (!good) continue;
        assert_int_equal(n, strlen(ROWS[i].bytes));
        assert_memory_equal(out, ROWS[i].bytes, n);
    }
    for (size_t n = 0; n < 50; n++) { /* there and back */
        uint8_t data[50], back[54];
        char text[80];
        size_t m;
        for (size_t i = 0; i < n; i++) data[i] = (uint8_t)(i * 37 + n);
        assert_true(sv_base64(text, sv_base64_of(data, n, text), back, &m) && m == n);
        assert_memory_equal(back, data, n);
    }
}

static void forms(void **state) {
#define PART "--b\r\nContent-Disposition: form-data; name=\"image\"\r\n\r\n"
    static const struct {
        const char *type, *body;
        int n; /* -1: refused */
        const char *first;
    } ROWS[] = {
        {"multipart/form-data; boundary=b", PART "cat\r\n--b--\r\n", 1, "cat"},
        {"multipart/form-data; boundary=\"b\"", "preamble\r\n" PART "cat\r\n" PART "dog\r\n--b--", 2, "cat"},
        {"Multipart/Form-Data; charset=x; BOUNDARY=b", PART "\r\n--b--", 1, ""},
        {"multipart/form-data; boundary=b", PART "a--b\r\n-b--\r\n--b--", 1, "a--b\r\n-b--"}, /* within a picture */
        {"multipart/form-data; boundary=b",
         "--b\r\nContent-Disposition: form-data; name=\"k\"\r\n\r\n5\r\n" PART "x\r\n--b--", 1, "x"},
        {"multipart/form-data; boundary=b", "--b--", -1, NULL},
        {"multipart/form-data; boundary=b", PART "x", -1, NULL},
        {"multipart/form-data; boundary=b", PART "x\r\n--b", -1, NULL},
        {"multipart/form-data; boundary=b", "--b\r\n\r\n", -1, NULL},
        {"multipart/form-data; boundary=b", "", -1, NULL},
        {"multipart/form-data; boundary=", PART "x\r\n--b--", -1, NULL},
        {"multipart/form-data", PART "x\r\n--b--", -1, NULL},
        {"multipart/mixed; boundary=b", PART "x\r\n--b--", -1, NULL},
        {"multipart/form-data; boundary=bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", PART,
         -1, NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        sv_bytes parts[2];
        size_t n = 0;
        kf_error err = {0};
        kf_status st =
            sv_multipart(ROWS[i].type, (const uint8_t *)ROWS[i].body, strlen(ROWS[i].body), parts, 2, &n, &err);
        if (ROWS[i].n < 0) {
            assert_int_equal(st, KF_ERR_ARGUMENT);
            assert_true(err.text[0]);
            continue;
        }
        assert_int_equal(st, KF_OK);
        assert_int_equal(n, ROWS[i].n);
        assert_int_equal(parts[0].bytes, strlen(ROWS[i].first));
        assert_memory_equal(parts[0].data, ROWS[i].first, parts[0].bytes);
    }
    const char *three = PART "x\r\n" PART "x\r\n" PART "x\r\n--b--";
    sv_bytes parts[2];
    size_t n;
    assert_int_equal(
        sv_multipart("multipart/form-data; boundary=b", (const uint8_t *)three, strlen(three), parts, 2, &n, NULL),
        KF_ERR_LIMIT);
}

static void packed(void **state) {
    uint8_t plain[100000], *out;
    unsigned char packed_bytes[2000];
    uLongf n = sizeof packed_bytes;
    size_t m;
    (void)state;
    memset(plain, 'x', sizeof plain);
    assert_int_equal(compress(packed_bytes, &n, plain, sizeof plain), Z_OK);
    for (size_t most = 99998; most <= 100001; most++) {
        kf_status st = sv_inflate(packed_bytes, n, most, &out, &m, NULL);
        assert_int_equal(st, most < 100000 ? KF_ERR_LIMIT : KF_OK);
        if (st == KF_OK) assert_int_equal(m, 100000);
        free(out);
    }
    for (size_t cut = 0; cut < n; cut++) {
        assert_int_equal(sv_inflate(packed_bytes, cut, 200000, &out, &m, NULL), KF_ERR_ARGUMENT);
        assert_null(out);
    }
    packed_bytes[n] = 'x';
    assert_int_equal(sv_inflate(packed_bytes, n + 1, 200000, &out, &m, NULL), KF_ERR_ARGUMENT);
}

/* The memory of a text has a limit, whatever it holds; and none is left. */
static void json(void **state) {
    size_t n = 16 << 20;
    char *text = malloc(n + 1);
    sv_json j;
    kf_error err = {0};
    (void)state;
    assert_non_null(text);
    for (int kind = 0; kind < 3; kind++) {
        const char *piece = kind == 0 ? "[]," : kind == 1 ? "1," : "\"abc\",";
        size_t at = (size_t)sprintf(text, "{\"a\":["), step = strlen(piece);
        while (at + step + 3 < n) memcpy(text + at, piece, step), at += step;
        memcpy(text + at, "0]}", 3);
        assert_int_equal(sv_json_read(text, at + 3, &j, &err), KF_ERR_LIMIT);
        assert_null(j.all);
    }
    memset(text, 'x', n); /* one long text is fine: a picture in base64 */
    memcpy(text, "{\"a\":\"", 6), memcpy(text + n - 2, "\"}", 2);
    assert_int_equal(sv_json_read(text, n, &j, &err), KF_OK);
    assert_int_equal(json_string_length(json_object_get(j.root, "a")), n - 8);
    sv_json_free(&j);
    free(text);
    json_t *mine = json_pack("{s:i}", "a", 1); /* who reads for himself is not touched */
    assert_non_null(mine);
    json_decref(mine);
}

static void paths(void **state) {
    static const struct {
        const char *method, *path;
        sv_route route;
        const char *model, *version, *allow;
    } ROWS[] = {{"GET", "/", SV_ROUTE_PAGE, "", "", NULL},
                {"HEAD", "/v2", SV_ROUTE_SERVER, "", "", NULL},
                {"GET", "/v2/models/m", SV_ROUTE_MODEL, "m", "", NULL},
                {"GET", "/v2/models/m/versions/1", SV_ROUTE_MODEL, "m", "1", NULL},
                {"POST", "/v2/models/m/versions/7/infer", SV_ROUTE_INFER, "m", "7", NULL},
                {"GET", "/v2/models/stats", SV_ROUTE_STATS, "", "", NULL},
                {"GET", "/v2/models/m/stats", SV_ROUTE_STATS, "m", "", NULL},
                {"POST", "/classify/m", SV_ROUTE_CLASSIFY, "m", "", NULL},
                {"POST", "/v2/repository/models/m/load", SV_ROUTE_LOAD, "m", "", NULL},
                {"GET", "/v2/models/m/versions/", SV_ROUTE_NONE, "", "", NULL},
                {"GET", "/v2/models/m/versions/1234567890123456", SV_ROUTE_NONE, "", "", NULL},
                {"GET", "/v2/models//ready", SV_ROUTE_NONE, "", "", NULL},
                {"GET", "//v2", SV_ROUTE_NONE, "", "", NULL},
                {"GET", "", SV_ROUTE_NONE, "", "", NULL},
                {"get", "/v2", SV_ROUTE_NONE, "", "", "GET, HEAD"},
                {"PUT", "/classify", SV_ROUTE_NONE, "", "", "POST"}};
    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        char model[SV_MAX_NAME + 1], version[16];
        const char *allow;
        const sv_request r = {.method = ROWS[i].method, .path = ROWS[i].path};
        assert_int_equal(sv_route_of(&r, model, version, &allow), ROWS[i].route);
        assert_string_equal(model, ROWS[i].model);
        assert_string_equal(version, ROWS[i].version);
        if (ROWS[i].allow) assert_string_equal(allow, ROWS[i].allow);
        else assert_null(allow);
    }
}

typedef struct counted {
    sv_job job;
    atomic_int *done, *hold;
} counted;

static void count(sv_job *job, int worker) {
    counted *c = (counted *)job;
    (void)worker;
    while (atomic_load(c->hold)) sched_yield();
    atomic_fetch_add(c->done, 1);
}

static void queue(void **state) {
    sv_queue *q;
    atomic_int done = 0, hold = 1;
    counted jobs[8];
    int taken = 0;
    (void)state;
    assert_int_equal(sv_queue_create(2, 3, &q, NULL), KF_OK);
    for (int i = 0; i < 8; i++) {
        jobs[i] = (counted){{.run = count}, &done, &hold};
        for (int wait = 0; i == 2 && wait < 1000 && sv_queue_running(q) < 2; wait++) usleep(10000);
        taken += sv_queue_put(q, &jobs[i].job);
    }
    assert_int_equal(taken, 5); /* two run, three wait */
    assert_int_equal(sv_queue_waiting(q), 3);
    atomic_store(&hold, 0);
    sv_queue_end(q);
    assert_int_equal(done, 5);
    assert_false(sv_queue_put(q, &jobs[0].job));
    sv_queue_destroy(&q);
    assert_null(q);
}

typedef struct user {
    sv_service *s;
    atomic_bool *stop;
    int answered;
} user;

static void *use(void *at) {
    user *u = at;
    while (!atomic_load(u->stop) || !u->answered) {
        sv_model *m = sv_models_take(u->s->models, "verified_small_v1", NULL);
        assert_non_null(m);
        u->answered += m->info.n_inputs == 1 && m->loads > 0;
        sv_model_drop(m);
    }
    return NULL;
}

static void swaps(void **state) {
    sv_service *s = *state;
    atomic_bool stop = false;
    user users[2] = {{s, &stop, 0}, {s, &stop, 0}};
    pthread_t threads[2];
    sv_state model;
    for (int i = 0; i < 2; i++) assert_int_equal(pthread_create(&threads[i], NULL, use, &users[i]), 0);
    for (int i = 0; i < 20; i++) assert_int_equal(sv_models_load(s->models, "verified_small_v1", NULL), KF_OK);
    atomic_store(&stop, true);
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    assert_true(sv_models_at(s->models, 0, &model) && model.loads >= 21);
    assert_int_equal(sv_models_load(s->models, "none", NULL), KF_ERR_ARGUMENT);
    assert_int_equal(sv_models_add(s->models, "/x/verified_small_v1.onnx", NULL), KF_ERR_ARGUMENT);
    assert_int_equal(sv_models_add(s->models, "a b.kfx", NULL), KF_ERR_ARGUMENT);
    assert_int_equal(sv_models_add(s->models, "dir/", NULL), KF_ERR_ARGUMENT);
}

/* What the corpus holds is answered as its names say. */
static void corpus(void **state) {
    static const struct {
        const char *name;
        int status;
    } ROWS[] = {{"json", 200},   {"nested", 200}, {"classes", 200},     {"binary", 200},      {"binary_batch", 200},
                {"bytes", 200},  {"u8", 200},     {"nv12", 200},        {"two_outputs", 200}, {"two_outputs_json", 200},
                {"base64", 200}, {"raw", 200},    {"raw_picture", 200}, {"classify", 200},    {"form", 200},
                {"gzip", 415},   {"token", 200},  {"host", 200},        {"model", 200},       {"ready", 200},
                {"stats", 200},  {"page", 200},   {"index", 200},       {"unload", 404},      {"config", 400},
                {"method", 405}};
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        char path[1000], text[1 << 16];
        fixture_request f;
        sv_answer a = {0};
        snprintf(path, sizeof path, "%s/tests/fuzz/corpus/serve/%s", getenv("KITFOX_SOURCE"), ROWS[i].name);
        FILE *file = fopen(path, "rb");
        assert_non_null(file);
        size_t n = fread(text, 1, sizeof text, file);
        fclose(file);
        assert_true(fixture_parse(text, n, &f));
        sv_handle(*state, &f.r, 0, 0, &a);
        if (a.status != ROWS[i].status) print_message("%s: %d %.200s\n", ROWS[i].name, a.status, (char *)a.body);
        assert_int_equal(a.status, ROWS[i].status);
        sv_answer_free(&a);
    }
}

static int begin(void **state) {
    static sv_service s;
    kf_error err = {0};
    *state = &s;
    if (fixture_begin(&s, &err) == KF_OK) return 0;
    print_message("%s\n", err.text);
    return 1;
}

static int end(void **state) {
    fixture_end(*state);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(texts),  cmocka_unit_test(base64), cmocka_unit_test(forms),
                                       cmocka_unit_test(packed), cmocka_unit_test(json),   cmocka_unit_test(paths),
                                       cmocka_unit_test(queue),  cmocka_unit_test(swaps),  cmocka_unit_test(corpus)};
    return cmocka_run_group_tests(tests, begin, end);
}
