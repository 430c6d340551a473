// DF_INLINE: into its callers, whatever its size. For the steps of an event that stand by
// themselves for the reader and have one caller or two: the compiler, who does not know that there
// are no others, keeps them apart, and the calls cost more than much of what they do.
#pragma once

#define DF_INLINE [[gnu::always_inline]] inline
