/* SPDX-License-Identifier: Apache-2.0 */
/* list_page.h: what a list would show, taken for something else first: a collection that is deleted is answered with.
 *
 * Model:      one page by the request's selectors, limit and revision, converted to its version. The objects are those of a
 *             snapshot; what happens to them later does not show.
 * Ownership:  a page is its caller's until it is answered or dropped. Threads: the state thread.
 */
#ifndef FED_APISERVER_LIST_PAGE_H
#define FED_APISERVER_LIST_PAGE_H

#include "apiserver/apiserver_priv.h"

struct fed_list_page;
/* ready(ud, page) at once, or when objects have been converted; NULL: the request was answered with an error. */
void fed_list_page_collect(struct fed_api_reply *r, void (*ready)(void *ud, struct fed_list_page *page), void *ud);
struct fed_kobj *const *fed_list_page_objects(const struct fed_list_page *page, size_t *n); /* borrowed from the page */
void fed_list_page_answer(struct fed_list_page *page);                                      /* and frees it */
void fed_list_page_free(struct fed_list_page *page);

#endif
