/* The text of the mock's tokens, " w000", " w001" and so on: a lost, doubled or misplaced one shows. */
#ifndef TOKEN_H
#define TOKEN_H

enum { TOKEN_SIZE = 5 };

static inline void token_print(char token[TOKEN_SIZE], long number) {
    token[0] = ' ', token[1] = 'w';
    for (int place = TOKEN_SIZE - 1; place > 1; place--, number /= 10) token[place] = (char)('0' + number % 10);
}

#endif
