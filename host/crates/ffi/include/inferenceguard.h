/* The budgets of a bundle, for an engine that writes the answers itself.
 *
 * What this can do for such an engine, and what it cannot:
 *   - costs that read tokens, text and log-probabilities are priced in the sandbox, token by token; tracker and audit decide;
 *   - a bundle whose costs read scores, latents or logits is refused: those come from an engine of ours;
 *   - nothing is searched: no chunk is sampled again, no beam is taken instead. The engine asks before it appends.
 *
 * What becomes of each key of bundle.toml here:
 *   - honoured: `constraints`, `costs`, `tracker`, `networks`, `limits`, and `max_tokens` (a token beyond it is unsafe);
 *   - refused by ig_bundle_open: `model`, `scores`, `critic`, `steering`, `stop`, `on_exhausted` other than "refuse", and constraints with the
 *     granularity "terminal", whose price is due when the engine has appended everything already;
 *   - for an engine of ours only, because it says how to search, sample and release: `policy`, `methods`, `search`, `task`,
 *     `sampling`, `backtrack`, `release`, `refusal`. None of them makes a budget larger.
 *
 * Texts that end with 0 are UTF-8. A function that fails returns NULL or false and, if `error` is not NULL, puts a sentence
 * there, which is the caller's: free it with ig_text_free. One answer belongs to one thread at a time; bundles are shared.
 */
#ifndef INFERENCEGUARD_H
#define INFERENCEGUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ig_bundle ig_bundle;
typedef struct ig_answer ig_answer;

/* A token that may be appended. */
typedef struct ig_piece {
    uint32_t token;     /* its id in the engine's vocabulary */
    const char *text;   /* what it adds to the text: UTF-8, perhaps a part of a character, with any byte in it */
    size_t length;      /* how many bytes of `text` that are; nothing need follow them */
    float logprob;      /* its log-probability, before temperature; NaN if unknown: unsafe under a cost that reads it */
    bool ended;         /* whether the answer ends with it */
} ig_piece;

/* Opens a bundle: a folder with all its files, or a packed one. Its components are compiled and configured here. */
ig_bundle *ig_bundle_open(const char *path, char **error);
void ig_bundle_close(ig_bundle *bundle);

/* How many constraints there are: the length of a row of margins. */
size_t ig_bundle_constraints(const ig_bundle *bundle);

/* Begins an answer to this prompt: fresh components, full budgets. `prompt` may be NULL where no cost reads the prompt. */
ig_answer *ig_answer_begin(const ig_bundle *bundle, const char *prompt, char **error);
void ig_answer_end(ig_answer *answer);

/* What each piece would do, each alone after what was accepted. `safe` takes `count` values, `margins` (or NULL) count x
 * constraints: what would be left of each budget. A failing component makes its pieces unsafe, and so does a cost on
 * log-probabilities for a piece without a finite one, or with one above 0; it is no error here, and ig_answer_failures names
 * it. */
bool ig_answer_weigh(ig_answer *answer, const ig_piece *pieces, size_t count, bool *safe, double *margins, char **error);

/* Appends a piece and charges it, whatever it costs. `safe` and `margins` (or NULL) as above, for this piece. Whatever comes
 * after a piece that ended the answer is unsafe. */
bool ig_answer_accept(ig_answer *answer, const ig_piece *piece, bool *safe, double *margins, char **error);

/* What went wrong in components so far, one sentence per line; empty if nothing did. Free it with ig_text_free. */
char *ig_answer_failures(const ig_answer *answer);

void ig_text_free(char *text);

#ifdef __cplusplus
}
#endif

#endif
