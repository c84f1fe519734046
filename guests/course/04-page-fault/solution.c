/* Exercise 04, solved. Nothing is flushed: an entry that was not present is in no TLB. */
#include "exercise.h"
#include "guests/lib/paging.h"

bool give_page(uint32_t address)
{
    uint32_t n = (address - PAGING_TEST) / PAGE;

    if (n >= PAGING_PAGES)
        return false;
    *paging_pte(address) = (uint32_t)paging_page(n) | PTE_P | PTE_W;
    return true;
}
