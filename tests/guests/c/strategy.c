// A cart strategy in C, for the world `cart-strategy`.
//
// It sells variants whose SKUs are joined from codes, as ../javascript/strategy.js does, without its packaging: a chair whose
// color has the code "RED" and whose size has the code "L" becomes the variant "CHAIR-RED-L". How to build it: README.md.
//
// WIT names become snake_case behind the name of their interface (`types.message` is `cartwright_plugin_types_message_t`), a
// variant is `{ tag, val }`, the case of a variant or an enum is a macro, an option is `{ is_some, val }`, a list is
// `{ ptr, len }`, and a function that may fail returns whether it did not, with its result in `ret` and its error in `err`.
//
// The bindings free what a result points to after the host has read it, so all of it is allocated: a text is copied with
// `cart_strategy_string_dup`, never set to a literal with `cart_strategy_string_set`. Arguments belong to the function too, which
// frees them or hands them on. What an import receives stays ours.

#include <stdlib.h>
#include <string.h>

#include "cart_strategy.h"

typedef cart_strategy_string_t Text;
typedef cartwright_plugin_types_context_t Context;
typedef cartwright_plugin_types_item_t Item;
typedef cartwright_plugin_types_line_request_t LineRequest;
typedef cartwright_plugin_types_message_t Message;
typedef cartwright_plugin_types_planned_line_t PlannedLine;
typedef cartwright_plugin_types_setting_t Setting;
typedef exports_cartwright_plugin_cart_call_error_t Error;
typedef exports_cartwright_plugin_cart_plan_request_t PlanRequest;
typedef exports_cartwright_plugin_settings_field_t Field;

// Memory that is zero is a value of every type: an empty text or list, no option, `false`, the first case.
static void *zeroed(size_t count, size_t size) {
    void *memory = calloc(count, size);
    if (memory == NULL) abort();
    return memory;
}

static void append(Text *to, Text more) {
    if (more.len == 0) return;
    to->ptr = realloc(to->ptr, to->len + more.len);
    if (to->ptr == NULL) abort();
    memcpy(to->ptr + to->len, more.ptr, more.len);
    to->len += more.len;
}

// A text that is read and never freed.
static Text literal(const char *characters) {
    Text text;
    cart_strategy_string_set(&text, characters);
    return text;
}

static bool equals(Text text, const char *characters) {
    return text.len == strlen(characters) && memcmp(text.ptr, characters, text.len) == 0;
}

static void set_message(Message *message, const char *key, const char *text) {
    cart_strategy_string_dup(&message->key, key);
    cart_strategy_string_dup(&message->text, text);
}

static bool invalid_input(Error *error, const char *field, const char *key, const char *text) {
    *error = (Error){.tag = CARTWRIGHT_PLUGIN_TYPES_CALL_ERROR_INVALID_INPUT};
    cart_strategy_string_dup(&error->val.invalid_input.field, field);
    set_message(&error->val.invalid_input.message, key, text);
    error->val.invalid_input.blocking = true;
    return false;
}

void exports_cartwright_plugin_metadata_describe(exports_cartwright_plugin_metadata_plugin_metadata_t *ret) {
    *ret = (exports_cartwright_plugin_metadata_plugin_metadata_t){0};
    cart_strategy_string_dup(&ret->id, "joined-sku-c");
    cart_strategy_string_dup(&ret->name, "Joined SKU in C");
    cart_strategy_string_dup(&ret->version, "0.1.0");
    cart_strategy_string_dup(&ret->publisher, "Cartwright's examples");
    ret->strategies.ptr = zeroed(1, sizeof *ret->strategies.ptr);
    ret->strategies.len = 1;
    cart_strategy_string_dup(&ret->strategies.ptr[0].name, "joined-sku");
    set_message(&ret->strategies.ptr[0].title, "joined-sku", "Variant by joined codes");
}

static void set_text_field(Field *field, const char *name, const char *label, const char *help) {
    cart_strategy_string_dup(&field->name, name);
    cart_strategy_string_dup(&field->kind, "text");
    set_message(&field->label, name, label);
    field->help.is_some = true;
    set_message(&field->help.val, name, help);
    field->per_product = true;
}

void exports_cartwright_plugin_settings_fields(Text *locale, exports_cartwright_plugin_settings_list_field_t *ret) {
    cart_strategy_string_free(locale);
    ret->ptr = zeroed(2, sizeof *ret->ptr);
    ret->len = 2;
    set_text_field(&ret->ptr[0], "prefix", "SKU prefix", "What every SKU of the product begins with, such as CHAIR.");
    set_text_field(&ret->ptr[1], "separator", "Separator", "What stands between the codes.");
    ret->ptr[1].default_value.is_some = true;
    ret->ptr[1].default_value.val.tag = CARTWRIGHT_PLUGIN_TYPES_SETTING_VALUE_TEXT;
    cart_strategy_string_dup(&ret->ptr[1].default_value.val.val.text, "-");
}

bool exports_cartwright_plugin_settings_validate(
    exports_cartwright_plugin_settings_context_t *context, exports_cartwright_plugin_settings_list_field_issue_t *ret,
    exports_cartwright_plugin_settings_call_error_t *err) {
    (void)err;
    exports_cartwright_plugin_settings_context_free(context);
    *ret = (exports_cartwright_plugin_settings_list_field_issue_t){0};
    return true;
}

bool exports_cartwright_plugin_settings_migrate(
    Text *from_version, exports_cartwright_plugin_settings_list_setting_t *values,
    exports_cartwright_plugin_settings_list_setting_t *ret, exports_cartwright_plugin_settings_call_error_t *err) {
    (void)err;
    cart_strategy_string_free(from_version);
    *ret = *values;
    return true;
}

// Returns the text of a setting, which belongs to the context; an empty text if it is not set.
static Text text_setting(const Context *context, const char *name) {
    for (size_t i = 0; i < context->settings.len; i++) {
        const Setting *setting = &context->settings.ptr[i];
        if (equals(setting->name, name) && setting->value.tag == CARTWRIGHT_PLUGIN_TYPES_SETTING_VALUE_TEXT) {
            return setting->value.val.text;
        }
    }
    return (Text){0};
}

// Appends the prefix and the codes of the chosen values, in the configuration's order. Returns whether there is a code.
static bool join_sku(const Context *context, const Item *item, Text *sku) {
    bool has_code = false;
    append(sku, text_setting(context, "prefix"));
    for (size_t i = 0; i < item->attributes.len; i++) {
        const cartwright_plugin_types_attribute_t *attribute = &item->attributes.ptr[i];
        if (attribute->hidden || !attribute->key.is_some || attribute->key.val.len == 0) continue;
        if (sku->len > 0) append(sku, text_setting(context, "separator"));
        append(sku, attribute->key.val);
        has_code = true;
    }
    return has_code;
}

static bool plan_line(
    const Context *context, const PlanRequest *request, const LineRequest *line_request, PlannedLine *line, Error *err) {
    if (!line_request->item.is_some) {
        return invalid_input(err, "items", "not-configured", "Only a configured product has codes.");
    }
    const Item *item = &request->items.ptr[line_request->item.val];
    line->target.tag = CARTWRIGHT_PLUGIN_TYPES_TARGET_SKU;
    Text *sku = &line->target.val.sku.sku;
    if (item->sku.is_some) {
        append(sku, item->sku.val);
    } else if (!join_sku(context, item, sku)) {
        return invalid_input(err, "items", "no-codes", "No chosen value has a code that an SKU could be joined from.");
    }
    line->target.val.sku.within_product.is_some = true;
    append(&line->target.val.sku.within_product.val, request->link.shop_product);
    line->quantity = line_request->quantity;
    line->price.source = request->price_from;
    line->item = line_request->item;

    Text entry = {0};
    append(&entry, literal("planned "));
    append(&entry, *sku);
    cartwright_plugin_log_write(CARTWRIGHT_PLUGIN_LOG_LEVEL_DEBUG, &entry);
    cart_strategy_string_free(&entry);
    return true;
}

bool exports_cartwright_plugin_cart_plan(
    exports_cartwright_plugin_cart_context_t *context, PlanRequest *request,
    exports_cartwright_plugin_cart_plan_result_t *ret, Error *err) {
    *ret = (exports_cartwright_plugin_cart_plan_result_t){0};
    ret->entries.ptr = zeroed(request->line_requests.len, sizeof *ret->entries.ptr);
    ret->entries.len = request->line_requests.len;
    bool planned = true;
    for (size_t i = 0; planned && i < request->line_requests.len; i++) {
        ret->entries.ptr[i].tag = CARTWRIGHT_PLUGIN_TYPES_PLAN_ENTRY_LINE;
        planned = plan_line(context, request, &request->line_requests.ptr[i], &ret->entries.ptr[i].val.line, err);
    }
    if (!planned) exports_cartwright_plugin_cart_plan_result_free(ret);
    exports_cartwright_plugin_cart_context_free(context);
    exports_cartwright_plugin_cart_plan_request_free(request);
    return planned;
}
