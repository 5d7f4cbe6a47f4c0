/* SPDX-License-Identifier: Apache-2.0 */
/* offer.c - what a node offers beyond cpus and memory: gpus found through their device files, labels and
 * named resources as declared. Layer: L4 (node/link). */
#include "link.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAME_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"

uint32_t offer_gpus_found(void)
{
        uint32_t count = 0;
        char path[32];

        /* Devices are numbered from 0 without gaps, as the driver makes them. */
        while (count < PX_LIMIT_GPUS) {
                snprintf(path, sizeof(path), "/dev/nvidia%u", count);
                if (access(path, F_OK) != 0)
                        break;
                count++;
        }
        return count;
}

/* K=V, or K alone for an empty value. */
bool offer_add_label(struct offer *offer, const char *text)
{
        size_t length = strcspn(text, "=");
        const char *value = text[length] == '=' ? text + length + 1 : "";

        if (length == 0 || length > PX_LIMIT_LABEL_BYTES || strlen(value) > PX_LIMIT_LABEL_BYTES ||
            strspn(text, NAME_CHARS "/") < length || !px_slice_is_text(px_slice_text(value)) ||
            offer->labels_count == PX_LIMIT_NODE_LABELS)
                return false;
        for (size_t i = 0; i < offer->labels_count; i++)
                if (px_slice_equal(offer->labels[i].key,
                                   px_slice_of((const uint8_t *)text, length)))
                        return false;
        offer->labels[offer->labels_count++] = (struct px_label){
                .key = px_slice_of((const uint8_t *)text, length),
                .value = px_slice_text(value),
        };
        return true;
}

/* NAME=N */
bool offer_add_resource(struct offer *offer, const char *text)
{
        size_t length = strcspn(text, "=");
        unsigned long long amount;
        char *end;

        if (length == 0 || length > PX_LIMIT_RESOURCE_BYTES || text[length] != '=' ||
            strspn(text, NAME_CHARS) < length || text[0] == '.' || text[0] == '-' ||
            text[length + 1] < '0' || text[length + 1] > '9' ||
            offer->resources_count == PX_LIMIT_RESOURCES)
                return false;
        errno = 0;
        amount = strtoull(text + length + 1, &end, 10);
        if (errno != 0 || *end != '\0' || amount > PX_LIMIT_RESOURCE_AMOUNT)
                return false;
        for (size_t i = 0; i < offer->resources_count; i++)
                if (px_slice_equal(offer->resources[i].name,
                                   px_slice_of((const uint8_t *)text, length)))
                        return false;
        offer->resources[offer->resources_count++] = (struct px_resource){
                .name = px_slice_of((const uint8_t *)text, length),
                .amount = amount,
        };
        return true;
}
