#!/usr/bin/env python3
"""Write the table of test_calls.c: every public call of every header with each pointer NULL, numbers out of range, and structures of other sizes.

make_calls.py OUT HEADER...: parses the declarations. What is passed for the other parameters stands in VALUES and NAMED;
a pointer for which neither has anything is room for a result. What may be NULL stands in OPTIONAL.
"""
import re
import sys

# Values by type: what set_up() of test_calls.c makes, or room for a result.
VALUES = {
    "const kf_model *": "model", "kf_session *": "session", "const kf_session *": "session", "kf_pool *": "NULL",
    "const kf_pool *": "NULL", "kf_graph *": "graph", "const kf_graph *": "graph", "const kf_image *": "&image",
    "const kf_nv12 *": "&frame", "const kf_tensor *": "&input", "const kf_preprocess *": "&preprocess",
    "const kf_field *": "kf_preprocess_field(0)", "kf_preprocess *": "&room.preprocess", "const kf_dataset *": "dataset",
    "const kf_rdk_config *": "config", "const kf_comparison *": "&comparison", "const kf_evaluation *": "&evaluation",
    "const kf_score *": "scores", "kf_score *": "scores", "kf_samples *": "&samples", "const kf_raw_form *": "&form",
    "kf_batch *": "batch", "const kf_batch *": "batch", "const char *": "\"no-such-folder/none\"",
    "const char *const *": "names", "const uint8_t *": "bytes", "const uint8_t *const *": "pictures",
    "const float *": "numbers", "const float *const *": "rows", "const void *": "bytes",
    "const kf_samples *": "&samples", "const kf_model *const *": "pair", "const kf_bench_result *": "&bench", "kf_pool_fn": "nothing", "kf_image *": "&room.image", "kf_tensor *": "&room.tensor",
    "size_t": "1", "int32_t": "0", "int": "0", "double": "0", "uint32_t": "0", "int64_t": "0",
}
# Values by call and parameter, or by parameter, where the type does not say enough.
NAMED = {
    "kf_graph_import_onnx_memory.data": "onnx", "kf_graph_import_onnx_memory.bytes": "onnx_bytes",
    "kf_session_run_rgb.stride": "3 * SIDE", "kf_session_run_rgb.n_scores": "CLASSES",
    "kf_batch_run_rgb.stride": "3 * SIDE", "kf_batch_run_rgb.n_scores": "CLASSES", "kf_session_run.out": "&output",
    "kf_batch_run.out": "&output", "kf_image_create.width": "4", "kf_image_create.height": "4",
    "kf_image_resize.width": "4", "kf_image_resize.height": "4", "kf_image_encode_jpeg.quality": "80",
    "kf_graph_run_reference.out": "&output", "kf_file_read.max_bytes": "100", "kf_image_to_nv12.bytes": "sizeof bytes",
    "kf_preprocess_parse.text": "\"4\"", "kf_options_read.from": "&room", "kf_options_read.to": "&room.step",
    "kf_options_read.type": "\"type\"", "kf_info_write.from": "&room", "kf_info_write.type": "\"type\"",
    "kf_zoo_get.index": "0", "kf_rdk_check_frames.width": "2", "kf_rdk_check_frames.height": "2",
    "kf_graph_import_tensors.arch": "NULL", "kf_graph_compare.runs": "1", "kf_npy_write.tensor": "&output", "kf_npz_write.tensors": "&output",
    "kf_session_classify.top": "scores", "kf_samples_load.how": "&preprocess", "kf_samples_load_some.how": "&preprocess", "hex": "room.bytes",
    "kf_preprocess_by_name.name": "\"mobilenetv3_small_100\"", "kf_cpu_limit.name": "\"scalar\"",
    "kf_color_from_rgb.to": "room.bytes", "kf_color_to_rgb.rgb": "room.bytes", "kf_graph_set_outputs.n": "1",
    "kf_scores_kind_from_name.name": "\"log\"", "kf_image_resize.box": "NULL", "kf_model_verify.model": "verified", "kf_graph_quantized_node.graph": "quantized",
    "kf_graph_quantized_histogram.graph": "quantized", "kf_graph_search_result.graph": "quantized",
    "kf_graph_search_candidate.graph": "quantized",
}
# Pointers that may be NULL, by call and parameter or by parameter: the header says so.
OPTIONAL = set("""err options limits allocator notice user sync progress wanted removed list fn
kf_graph_set_preprocess.preprocess kf_graph_import_tensors.arch kf_image_resize.box kf_cpu_limit.name
kf_graph_quantized_summary.agreement kf_graph_quantized_summary.sqnr kf_graph_quantized_summary.samples
kf_options_read.from kf_graph_trim.types kf_graph_trim.names kf_model_load.options
kf_session_replace.values kf_dataset_open.list kf_error_set.fmt kf_error_prefix.fmt kf_scores_json.top
kf_file_write.data kf_options_read.type kf_info_write.type kf_evaluation_page.model kf_graph_trim.types kf_graph_trim.names
kf_graph_set_labels.labels kf_labels_fit.labels kf_classify_files.failed kf_samples_load_some.skipped kf_labels_check.labels kf_labels_check.model kf_rewrite.result kf_file_explain.path""".split())
# Numbers outside their range, by parameter or by call and parameter.
BAD = {
    "index": ["-1", "1000000"], "frames": ["0", "-1", "2"], "step": ["-2", "1000000"], "threads": ["-4", "65", "100000"], "level": ["77", "-1"],
    "form": [], "filter": ["77", "-1"], "kf_graph_set_qdq_form.form": ["77", "-1"], "range": ["-1", "2"],
    "width": ["0", "-1"], "height": ["0", "-1"], "stride": ["0"], "n_scores": ["0"], "n_types": ["-1"],
    "n_names": ["-1"], "kf_graph_set_outputs.n": ["0", "-1"], "quality": ["0", "101"], "max_pixels": ["-1"],
    "kf_session_run.n_in": ["0", "2"], "kf_session_run.n_out": ["2"], "kf_image_to_nv12.bytes": ["0"],
    "kf_graph_run_reference.n_in": ["0", "2"], "kf_batch_run_rgb.n": ["0"],
    "kf_batch_classify.n": ["0"], "runs": ["-1"], "weights": ["2", "-1"],
}
# Calls that are not made here, and why.
LEFT_OUT = {
    "kf_error_set": "its arguments are a format's", "kf_error_prefix": "its arguments are a format's",
    "kf_file_abandon": "it takes nothing and ends writes for good",
    **{call: "arithmetic: the header asks for valid pointers" for call in (
        "kf_top_k", "kf_preprocess_get", "kf_preprocess_set", "kf_preprocess_copy", "kf_preprocess_init",
        "kf_preprocess_normalize", "kf_preprocess_pixel", "kf_preprocess_set_scale", "kf_color_from_rgb",
        "kf_color_to_rgb", "kf_proportion_interval", "kf_paired_interval", "kf_bench_slower", "kf_verify_verdict")},
}


def declarations(path):
    with open(path) as f:
        text = re.sub(r"/\*.*?\*/", "", f.read(), flags=re.S)
    for m in re.finditer(r"\bKF_API\b([^;{]*?)\b(kf_\w+)\s*\(([^;]*?)\)\s*(?:KF_PRINTF[^;]*)?;", text, re.S):
        result, name, inside = " ".join(m.group(1).split()), m.group(2), " ".join(m.group(3).split())
        yield result, name, [] if inside == "void" else [split(p) for p in re.split(r",\s*(?![^(]*\))", inside)]


def split(parameter):
    array = re.match(r"(.*?)\b(\w+)\[\d*\]$", parameter)
    if array:
        return array.group(1).strip() + " *", array.group(2)
    callback = re.match(r".*\(\*(\w+)\)\(.*\)$", parameter)
    if callback:
        return "void *", callback.group(1)
    m = re.match(r"(.*?)(\w+|\.\.\.)$", parameter)
    if not m:
        sys.exit(f"cannot read the parameter '{parameter}'")
    kind = m.group(1).strip()
    return ("struct " if kind == "struct" else "") + kind, m.group(2)


def sized(headers):
    """Structures that begin with their own size."""
    found = set()
    for header in headers:
        with open(header) as f:
            text = re.sub(r"/\*.*?\*/", "", f.read(), flags=re.S)
        found |= set(re.findall(r"typedef struct (kf_\w+) \{\s*size_t size;", text))
    return found


def is_pointer(kind):
    return kind.endswith("*") or kind.endswith("_fn")


def lookup(table, call, name):
    return table.get(f"{call}.{name}", table.get(name))


def value(call, kind, name):
    named = lookup(NAMED, call, name)
    if call.endswith("_from_name") and name == "name" and not named:
        enum = call[:-len("_from_name")]
        return f"{enum}_name(({enum})0)"
    if named:
        return named
    if kind == "kf_error *":
        return "&err"
    if name in OPTIONAL and is_pointer(kind) and kind not in VALUES or name == "progress":
        return "NULL"
    if kind in VALUES:
        return VALUES[kind]
    if kind.endswith("*"):  # room for a result, or a handle that it makes
        return "(void *)&room"
    if re.match(r"kf_\w+$", kind):
        return f"({kind})0"
    sys.exit(f"make_calls.py: {call}: nothing to pass for '{kind} {name}'; add it to VALUES or NAMED")


def may_be_null(call, name):
    return name in OPTIONAL or f"{call}.{name}" in OPTIONAL


def cases(headers):
    sizes = sized(headers)
    for header in headers:
        for result, call, parameters in declarations(header):
            if call in LEFT_OUT:
                continue
            good = [value(call, kind, name) for kind, name in parameters]
            for i, (kind, name) in enumerate(parameters):
                structure = re.sub(r"^const | \*$", "", kind)
                if structure in sizes and result == "kf_status" and (
                        structure.endswith("_options") or not kind.startswith("const")):
                    for odd in ["no_size", "huge"] + (["newer"] if kind.startswith("const") else []):
                        arguments = good[:i] + [f"(void *)&{odd}"] + good[i + 1:]
                        yield call, f"{call}: {structure} {odd}", f"{call}({', '.join(arguments)})", result, structure
                odd = ["NULL"] if is_pointer(kind) and name != "err" else lookup(BAD, call, name) or []
                for what in odd if not is_pointer(kind) or odd == ["NULL"] else []:
                    arguments = good[:i] + [f"({kind}){what}"] + good[i + 1:]
                    refused = result == "kf_status" and not (what == "NULL" and may_be_null(call, name))
                    yield call, f"{call}: {name} {what}", f"{call}({', '.join(arguments)})", result, refused


def main():
    functions, rows, calls = [], [], set()
    for call, title, code, result, refused in cases(sys.argv[2:]):
        if title.endswith("NULL") and may_be_null(call, title.split(": ")[1].split(" ")[0]):
            continue
        k = len(rows)
        body = f"return {code};" if result == "kf_status" else f"(void){code};\n    return KF_OK;"
        if result == "void":
            body = f"{code};\n    return KF_OK;"
        functions.append(f"static kf_status call_{k}(void) {{\n    {body}\n}}")
        words = int(any(name == "err" for name in re.findall(r"\w+", code)))
        named = f'"{refused}"' if isinstance(refused, str) and words else "\"\""
        rows.append(f'    {{"{title}", call_{k}, {int(bool(refused))}, {words}, {named}}},')
        calls.add(call)
    with open(sys.argv[1], "w") as f:
        for header in sys.argv[2:]:
            f.write(f'#include "kitfox/{header.split("/")[-1]}"\n')
        f.write("\n".join(functions) + "\n\nstatic const struct row ROWS[] = {\n" + "\n".join(rows) + "\n};\n")
        f.write(f"enum {{ CALLS = {len(calls)} }};\n")


main()
