/* Read before every file by tools/analyze.py, never by a compiler whose code is run: what analyzers cannot see across
 * files. kf_error_set returns the status that it is given. Without that, every path on which a call failed goes on as
 * if the call had succeeded. The file that defines the function is read with KF_ANALYZE_DEFINITION. */
#ifndef KF_ANALYZE_MODEL_H
#define KF_ANALYZE_MODEL_H
#include "kitfox/status.h"
#ifndef KF_ANALYZE_DEFINITION
#define kf_error_set(err, status, ...) ((kf_error_set)((err), (status), __VA_ARGS__), (status))
#endif
#endif
