// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * json.c - fields of wire records as JSON and as cells of a table
 */
#include "ctl.h"

#include <inttypes.h>
#include <stdio.h>

void json_add_size(struct json_object *o, const char *key, __le64 value)
{
	json_object_object_add(o, key, json_object_new_uint64(vcma_le64_to_cpu(value)));
}

void json_add_number(struct json_object *o, const char *key, __le32 value)
{
	json_object_object_add(o, key, json_object_new_int64(vcma_le32_to_cpu(value)));
}

void json_add_text(struct json_object *o, const char *key, const char *text)
{
	json_object_object_add(o, key, json_object_new_string(text));
}

void json_add_name(struct json_object *o, const char *key, const char name[VCMA_NAME_MAX])
{
	char *text = format_name(name);

	json_add_text(o, key, text);
	g_free(text);
}

void json_add_bool(struct json_object *o, const char *key, bool value)
{
	json_object_object_add(o, key, json_object_new_boolean(value));
}

int json_print(struct json_object *o)
{
	puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY |
					    JSON_C_TO_STRING_SPACED |
					    JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(o);
	return CTL_OK;
}

char *cell_size(__le64 value)
{
	return format_size(vcma_le64_to_cpu(value));
}

char *cell_number(__le32 value)
{
	return g_strdup_printf("%" PRIu32, vcma_le32_to_cpu(value));
}
