/* SPDX-License-Identifier: Apache-2.0 */
/* claim.pml - a model of claim, lease, fence, cancel and re-attach (DESIGN 3 and 5; RELIABILITY 4.3 to
 * 4.7), for spin; tests/model/run.py runs it. Two nodes, two jobs: job 0 may run again when its node is
 * lost, job 1 may not.
 *
 * Modelled: what the broker keeps and what it forgets in a crash (a step and its flush are one, because
 * effects leave only after it); the entries of attempts, which outlive a node's link; connections that
 * lose what is under way; sessions. What time does is left to chance: a lease may lapse at any moment
 * (a pause, a partition and a slow network are all that), a process may end at any moment. One bound
 * is taken as given: before the broker gives up an attempt of job 1, the node has.
 *
 * Checked in every reachable state: an accepted end belongs to the attempt that counts, and nothing of
 * it is alive; an attempt begins once; job 1 never runs twice at a time, and twice only if a person
 * asked; when nothing can happen any more, both jobs have ended and no entry is left.
 *
 * Each rule can be taken out, and then the model must fail: NO_FENCE (a result counts whatever attempt
 * it names), NO_INVENTORY (a HELLO changes nothing), NO_GIVING_UP (an attempt of job 1 waits for its
 * broker for ever), NO_AGE (any answer counts as contact, however old its question is).
 * CRASHES, LAPSES, RESETS and CANCELS say how often each may happen, all together. */

#define NODES 2
#define JOBS 2
#define FENCES 2
#define NOBODY NODES

/* States of a job. */
#define QUEUED 0
#define ON_NODE 1
#define CANCELLING 2
#define ENDED 3
#define CANCELLED 4
#define LOST 5

/* States of an attempt's entry at a node. */
#define NONE 0
#define ACCEPTED 1
#define ALIVE 2
#define OVER 3

#define ENTRY(n, j, f) entry[(n) * JOBS * FENCES + (j) * FENCES + (f) - 1]
#define HELD(j) (state[j] == ON_NODE || state[j] == CANCELLING)
#define HELD_BY(n, j) (HELD(j) && holder[j] == n)
/* An inventory: two bits for each attempt of a job; whom to kill: one bit each. */
#define INVENTORY(n, j) (ENTRY(n, j, 1) + 4 * ENTRY(n, j, 2))
#define IN(inventory, f) (((inventory) >> (2 * (f) - 2)) & 3)
#define BIT(j, f) (1 << ((j) * FENCES + (f) - 1))

mtype = { NOTHING, HELLO, WELCOME, ASSIGN, RESULT, GONE, KILL };

/* Word; session (of HELLO and WELCOME: the number of the HELLO); two values. */
chan up[NODES] = [1] of { mtype, byte, byte, byte };
chan down[NODES] = [1] of { mtype, byte, byte, byte };

/* What may still go wrong. */
byte crashes = CRASHES;
byte lapses = LAPSES;
byte cancels = CANCELS;
byte resets = RESETS;

/* The broker: what it keeps, */
byte state[JOBS];
byte fence[JOBS]; /* of the current or last attempt */
byte holder[JOBS] = NOBODY;
byte session[NODES];
bool retried; /* a person ran job 1 again */
/* and what a crash takes. */
bool connected[NODES];
bool assigning[JOBS]; /* ASSIGN is to be said */
bool killing[JOBS];   /* KILL is to be said */

/* Nodes: entries on disk, the rest in the link. */
byte entry[NODES * JOBS * FENCES];
bool greeted[NODES];    /* number of its latest HELLO */
byte my_session[NODES]; /* 0 = not welcome yet */
/* Out of contact for so long that nothing of job 1 begins: a contact is as old as the question that was
 * answered. 1 = asked since. */
byte too_late[NODES];

bool began[JOBS * FENCES]; /* what an onlooker saw */

inline forget(channel) {
        do
        :: nempty(channel) -> channel?_, _, _, _
        :: empty(channel) -> break
        od
}

/* ---- the broker -------------------------------------------------------------------------------- */

/* The attempt that counts is over: its node says so, or it is lost. */
inline conclude(j, to) {
        state[j] = to;
        holder[j] = NOBODY;
        assigning[j] = false;
        killing[j] = false
}

inline lose(j, proven) {
        if
        :: state[j] == CANCELLING -> conclude(j, (proven -> CANCELLED : LOST))
        :: state[j] != CANCELLING && j == 0 && fence[j] < FENCES -> conclude(j, QUEUED)
        :: else -> conclude(j, LOST)
        fi
}

inline take_result(n, s, j, f, gone) {
        if
        :: !connected[n] || s != session[n]
        :: else ->
                if
#ifdef NO_FENCE
                :: HELD_BY(n, j) ->
#else
                :: HELD_BY(n, j) && fence[j] == f ->
#endif
                        assert(ENTRY(n, j, fence[j]) == NONE || ENTRY(n, j, fence[j]) == OVER);
                        if
                        :: gone -> lose(j, true)
                        :: else -> conclude(j, (state[j] == CANCELLING -> CANCELLED : ENDED))
                        fi
                :: else
                fi;
                /* The OK that follows is lost when the session has passed. */
                if
                :: s == my_session[n] && ENTRY(n, j, f) == OVER -> ENTRY(n, j, f) = NONE
                :: else
                fi
        fi
}

#ifdef NO_INVENTORY
#define reconcile(n, j, inventory) skip
#else
inline reconcile(n, j, inventory) {
        if
        :: HELD_BY(n, j) && IN(inventory, fence[j]) != NONE ->
                assigning[j] = false;
                killing[j] = (state[j] == CANCELLING)
        /* it was never started: the same attempt again */
        :: HELD_BY(n, j) && IN(inventory, fence[j]) == NONE && state[j] == ON_NODE ->
                assigning[j] = true
        :: HELD_BY(n, j) && IN(inventory, fence[j]) == NONE && state[j] == CANCELLING ->
                lose(j, true)
        :: else
        fi;
        /* what it brings back besides is of no interest */
        kills = kills |
                (IN(inventory, 1) != NONE && !(HELD_BY(n, j) && fence[j] == 1) -> BIT(j, 1) : 0) |
                (IN(inventory, 2) != NONE && !(HELD_BY(n, j) && fence[j] == 2) -> BIT(j, 2) : 0)
}
#endif

inline take_hello(n, number, inventory0, inventory1) {
        session[n] = session[n] % 3 + 1; /* more than are under way */
        connected[n] = true;
        reconcile(n, 0, inventory0);
        reconcile(n, 1, inventory1);
        down[n]!WELCOME(number, session[n], kills);
        kills = 0
}

/* Nothing is killed for silence. */
inline lapse(n) {
        lapses--;
        connected[n] = false;
        if
        :: HELD_BY(n, 0) && state[0] == ON_NODE -> lose(0, false)
        :: else
        fi
}

inline crash() {
        crashes--;
        forget(up[0]);
        forget(up[1]);
        forget(down[0]);
        forget(down[1]);
        connected[0] = false;
        connected[1] = false;
        assigning[0] = false;
        assigning[1] = false;
        killing[0] = false;
        killing[1] = false
}

#define CLAIMS(n, j)                                                                               \
        :: d_step { state[j] == QUEUED && connected[n] && fence[j] < FENCES ->                     \
                fence[j]++;                                                                        \
                holder[j] = n;                                                                     \
                state[j] = ON_NODE;                                                                \
                assigning[j] = true }

#define SAYS(n, j)                                                                                 \
        :: d_step { HELD_BY(n, j) && assigning[j] && connected[n] && nfull(down[n]) ->             \
                assigning[j] = false;                                                              \
                down[n]!ASSIGN(session[n], j, fence[j]) }                                          \
        :: d_step { HELD_BY(n, j) && killing[j] && connected[n] && nfull(down[n]) ->               \
                killing[j] = false;                                                                \
                down[n]!KILL(session[n], j, fence[j]) }

#define HEARS(n)                                                                                   \
        :: d_step { nempty(up[n]) && (nfull(down[n]) || !up[n]?[HELLO, _, _, _]) ->                \
                up[n]?word, s, a, b;                                                               \
                if                                                                                 \
                :: word == HELLO -> take_hello(n, s, a, b)                                         \
                :: word == RESULT -> take_result(n, s, a, b, false)                                \
                :: word == GONE -> take_result(n, s, a, b, true)                                   \
                fi;                                                                                \
                word = NOTHING; s = 0; a = 0; b = 0 }

#define SILENCES(n)                                                                                \
        :: d_step { lapses > 0 && connected[n] -> lapse(n) }

#define CANCEL(j)                                                                                  \
        :: d_step { cancels > 0 && state[j] == QUEUED -> cancels--; state[j] = CANCELLED }         \
        :: d_step { cancels > 0 && state[j] == ON_NODE -> cancels--;                               \
                state[j] = CANCELLING; assigning[j] = false; killing[j] = true }

/* lost_after passed. By then an attempt of job 1 has given up, and none begins. */
#define GIVES_UP(n)                                                                                \
        :: d_step { HELD_BY(n, 1) && !connected[n] && GAVE_UP(n) -> too_late[n] = 2;               \
                lose(1, false) }
#ifdef NO_GIVING_UP
#define GAVE_UP(n) true
#else
#define GAVE_UP(n) (ENTRY(n, 1, fence[1]) != ALIVE)
#endif

active proctype broker() {
        byte s, a, b, kills;
        mtype word = NOTHING;

end:    do
        CLAIMS(0, 0)
        CLAIMS(0, 1)
        CLAIMS(1, 0)
        CLAIMS(1, 1)
        SAYS(0, 0)
        SAYS(0, 1)
        SAYS(1, 0)
        SAYS(1, 1)
        HEARS(0)
        HEARS(1)
        SILENCES(0)
        SILENCES(1)
        CANCEL(0)
        CANCEL(1)
        GIVES_UP(0)
        GIVES_UP(1)
        :: d_step { state[1] == LOST && !retried && fence[1] < FENCES ->
                retried = true; state[1] = QUEUED } /* a person */
        :: d_step { crashes > 0 -> crash() } /* kill -9; what it kept is read again */
        od
}

/* ---- a node: its link, and keepers that outlive it ---------------------------------------------- */

/* A newer attempt ends the older one. */
inline take_assign(n, j, f) {
        if
        :: ENTRY(n, j, f) == NONE ->
                ENTRY(n, j, f) = ACCEPTED;
                if
                :: f == 2 && ENTRY(n, j, 1) == ACCEPTED -> ENTRY(n, j, 1) = OVER
                :: else
                fi
        :: else
        fi
}

/* What is alive ends when it ends. */
inline end_attempt(n, j, f) {
        if
        :: ENTRY(n, j, f) == ACCEPTED -> ENTRY(n, j, f) = OVER
        :: else
        fi
}

#define END_IF(n, j, f) ENTRY(n, j, f) = ((b & BIT(j, f)) && ENTRY(n, j, f) == ACCEPTED -> OVER : ENTRY(n, j, f))
inline take_welcome(n) {
        if
        :: s == greeted[n] ->
                my_session[n] = a;
#ifdef NO_AGE
                too_late[n] = 0;
#else
                too_late[n] = (too_late[n] == 1 -> 0 : too_late[n]);
#endif
                END_IF(n, 0, 1);
                END_IF(n, 0, 2);
                END_IF(n, 1, 1);
                END_IF(n, 1, 2)
        :: else
        fi
}

inline take_kill(n, j, f) {
        if
        :: ENTRY(n, j, f) == NONE -> up[n]!GONE(my_session[n], j, f)
        :: else -> end_attempt(n, j, f)
        fi
}

inline greet(n) {
        greeted[n] = !greeted[n];
        my_session[n] = 0;
        too_late[n] = (too_late[n] == 2 -> 1 : too_late[n]);
        forget(down[n]);
        forget(up[n]);
        up[n]!HELLO(greeted[n], INVENTORY(n, 0), INVENTORY(n, 1))
}

/* Whoever listens, one of a job at a time. */
#define BEGINS(n, j, f)                                                                            \
        :: d_step { ENTRY(n, j, f) == ACCEPTED && !(j == 1 && too_late[n] != 0) &&                 \
                    ENTRY(n, j, 1) != ALIVE && ENTRY(n, j, 2) != ALIVE ->                          \
                ENTRY(n, j, f) = ALIVE;                                                            \
                assert(!began[(j) * FENCES + (f) - 1]);                                            \
                began[(j) * FENCES + (f) - 1] = true;                                              \
                assert(j == 0 || (ENTRY(1 - n, 1, 1) != ALIVE && ENTRY(1 - n, 1, 2) != ALIVE));    \
                assert(j == 0 || f == 1 || retried) }                                              \
        :: d_step { ENTRY(n, j, f) == ACCEPTED && j == 1 && too_late[n] != 0 -> ENTRY(n, j, f) = OVER }

#define ENDS(n, j, f) :: ENTRY(n, j, f) == ALIVE -> ENTRY(n, j, f) = OVER

/* Said again and again until it is confirmed. */
#define REPORTS(n, j, f)                                                                           \
        :: d_step { my_session[n] != 0 && empty(up[n]) && ENTRY(n, j, f) == OVER ->                \
                up[n]!RESULT(my_session[n], j, f) }

proctype node(byte n) {
        byte s, a, b;
        mtype word = NOTHING;

        d_step { greet(n) }
end:    do
        :: d_step { nempty(down[n]) && (empty(up[n]) || !down[n]?[KILL, eval(my_session[n]), _, _]) ->
                down[n]?word, s, a, b;
                if
                :: word == WELCOME -> take_welcome(n)
                :: word != WELCOME && s != my_session[n]
                :: else ->
                        if
                        :: word == ASSIGN -> take_assign(n, a, b)
                        :: word == KILL -> take_kill(n, a, b)
                        fi
                fi;
                word = NOTHING; s = 0; a = 0; b = 0 }
        BEGINS(n, 0, 1)
        BEGINS(n, 0, 2)
        BEGINS(n, 1, 1)
        BEGINS(n, 1, 2)
        ENDS(n, 0, 1)
        ENDS(n, 0, 2)
        ENDS(n, 1, 1)
        ENDS(n, 1, 2)
        REPORTS(n, 0, 1)
        REPORTS(n, 0, 2)
        REPORTS(n, 1, 1)
        REPORTS(n, 1, 2)
        /* the broker does not know it any more; or the link is killed */
        :: d_step { !connected[n] && empty(up[n]) && empty(down[n]) -> greet(n) }
        :: d_step { resets > 0 -> resets--; greet(n) }
        od
}

/* When nothing can happen any more, all is done. */
active proctype onlooker() {
        byte i;

        timeout ->
        assert(state[0] >= ENDED && state[1] >= ENDED);
        do
        :: i == NODES * JOBS * FENCES -> break
        :: i < NODES * JOBS * FENCES -> assert(entry[i] == NONE); i++
        od
}

init {
        atomic { run node(0); run node(1) }
}
