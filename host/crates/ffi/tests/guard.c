/* A toy engine: it would like to say its words in order, and asks before each. LOGPROB is the log-probability of all of them; with
 * PROMPTLESS it gives no prompt. */
#include "inferenceguard.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int count, char **arguments) {
    char *error = NULL;
    ig_bundle *bundle = ig_bundle_open(count > 1 ? arguments[1] : "", &error);
    if (!bundle) {
        printf("error: %s\n", error);
        ig_text_free(error);
        return 1;
    }
    const char *given = getenv("LOGPROB");
    float logprob = given ? strtof(given, NULL) : NAN;
    ig_answer *answer = ig_answer_begin(bundle, getenv("PROMPTLESS") ? NULL : "How are you?", &error);
    if (!answer) {
        printf("error: %s\n", error);
        ig_text_free(error);
        ig_bundle_close(bundle);
        return 1;
    }
    for (int word = 2; word < count; word++) {
        char text[64];
        snprintf(text, sizeof text, " %s", arguments[word]);
        ig_piece pieces[2] = {{(uint32_t)word, text, strlen(text), logprob, false}, {0, " fine", 5, logprob, false}};
        bool safe[2];
        double margins[2];
        if (!ig_answer_weigh(answer, pieces, 2, safe, margins, &error)) return 2;
        ig_piece *chosen = safe[0] ? &pieces[0] : &pieces[1];
        bool held;
        if (!ig_answer_accept(answer, chosen, &held, margins, &error)) return 2;
        printf("%s:%s%.1f", chosen->text, held ? "" : "unsafe:", margins[0]);
    }
    char *failures = ig_answer_failures(answer);
    printf("\nfailures: %zu, constraints: %zu\n", strlen(failures), ig_bundle_constraints(bundle));
    ig_text_free(failures);
    ig_answer_end(answer);
    ig_bundle_close(bundle);
    return 0;
}
