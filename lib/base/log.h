/* SPDX-License-Identifier: Apache-2.0 */
/* log.h: one line for each event on stderr: time, level, component, message, key=value pairs in the message.
 * No secrets. Arguments are not evaluated below the level. Any thread. Libraries that decide nothing do not log. */
#ifndef FED_BASE_LOG_H
#define FED_BASE_LOG_H

#include <stdbool.h>

#include "base/def.h"

enum fed_log_level { FED_LOG_ERROR, FED_LOG_WARN, FED_LOG_INFO, FED_LOG_DEBUG };

void fed_log_set_level(enum fed_log_level level); /* default INFO; set once from main */
bool fed_log_on(enum fed_log_level level);
void fed_log_write(enum fed_log_level level, const char *component, const char *fmt, ...) FED_PRINTF(3, 4);

#define fed_log_error(comp, ...) fed_log_write(FED_LOG_ERROR, comp, __VA_ARGS__)
#define fed_log_warn(comp, ...)  fed_log_write(FED_LOG_WARN, comp, __VA_ARGS__)
#define fed_log_info(comp, ...)  fed_log_write(FED_LOG_INFO, comp, __VA_ARGS__)
#define fed_log_debug(comp, ...) (fed_log_on(FED_LOG_DEBUG) ? fed_log_write(FED_LOG_DEBUG, comp, __VA_ARGS__) : (void)0)

#endif
