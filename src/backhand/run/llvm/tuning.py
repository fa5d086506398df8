"""The numbers that tune the compiled executor: their units, and what changes as they grow.

None of them changes a bit of a result. They decide what code is generated and which threads run
it, so they are part of the key of the object cache. `benchmarks/ledger.py` measures what the
optimisations gain that they belong to, and docs/performance.md shows it. This file imports nothing.
"""

# The machine ------------------------------------------------------------------------------------

CACHE_LINE = 64
"""Bytes of a cache line, and of the widest vector. Arrays begin on one, and what one thread writes
while others read shares none with anything else. Larger: more room between such words."""

PAGE = 4096
"""Bytes of a page. Row strides that are multiples of it fall into few sets of a cache, so they get
one vector more. Larger: fewer strides do."""

# Threads: how many ------------------------------------------------------------------------------

ROW_WORK = 4_000
"""Operations that a row costs beside its products, for gathering and the loss. Larger: narrow
networks count as more work and get more threads."""

WEIGHT_WORK = 30
"""Operations that the update of a weight is counted as. Larger: more threads for small batches."""

SPARSE_UPDATE_WORK = 16
"""Operations that the update of a weight of a sparse first layer is counted as. Larger: more
threads for sparse rows."""

THREAD_WORK = 2_000_000
"""Operations of a training step for each thread, which then pays for its barriers and for the
weights that move between processors. Larger: fewer threads."""

DOUBT = 8
"""How many times less work for a thread may be enough on a machine with faster barriers: the thread
tuner tries as many threads. Larger: small steps are tried on more threads."""

TRAINING_WAKING_WORK = 50_000_000
"""Operations of an epoch for each thread that is woken. Larger: short trainings stay on one."""

PASS_WAKING_WORK = 25_000_000
"""Operations of a pass over many rows for each thread that is woken. Larger: more rows are needed
for several threads. `benchmarks/threads.py` measures whether these choices are good."""

TRIAL_SECONDS = 0.005
"""Seconds of each call in a comparison of numbers of threads. Longer steps are not compared, since
they pay for their threads on any machine. Larger: safer choices, later."""

FIRST_TRIAL_SECONDS, LAST_TRIAL_SECONDS = 0.1, 2.0
"""Seconds of training between two comparisons, at first and at most; they double while nothing
changes. Larger: less time is spent on comparing, and a change of the machine is noticed later."""

TAKE_OVER = 0.95
"""A number of threads is taken if its time is below this fraction of the current one's. Larger: it
changes more often, for less."""

# Threads: what each of them owns ----------------------------------------------------------------

UNEVEN = 1.15
"""How many times its even part of the first layer's panels a thread may own, if threads own panels.
Larger: they own panels in more networks, and wait longer for the one with most."""

ROWS_PER_COLUMN = 2
"""Rows that all threads together gather, for each column of the first layer, up to which threads
own panels. Larger: they do for larger batches, in which gathering all rows costs more than it
saves."""

SPLIT_K_INPUTS_PER_UNIT = 4
"""Inputs for each unit of the first layer from which split-k moves fewer sums than weights.
Larger: fewer networks use split-k."""

SPLIT_K_INPUTS = 64
"""The fewest inputs of a thread in split-k. Larger: fewer threads use it."""

SPLIT_K_ROWS = 12
"""The fewest rows of a batch for each further thread in split-k. With fewer, threads wait for sums
longer than they save. Larger: small batches do not use it."""

SPLIT_K_MOST_WORK = 1_000_000_000
"""The most operations of a batch in split-k, which cannot be interrupted. Larger: Ctrl-C waits
longer."""

SPLIT_K_TILES = 2
"""Heights of a tile in the block of rows that is handed to the next thread at once. Larger: fewer
waits, and the last thread begins later."""

SPLIT_K_LEAD = 3
"""Blocks that a thread gathers ahead while it waits for the first sums. Larger: less waiting at the
start of a batch, and rows that have left the first cache when they are used."""

WHOLE_TILES_ROWS = 100
"""Rows of a parameter above which threads own whole tiles of them. Larger: parts are more even,
and more rows are left over from tiles."""

# Threads: waiting, and letting go ---------------------------------------------------------------

SPINS = 4_000
"""Pauses of a waiting thread before it yields its processor: some tens of microseconds. Larger:
faster barriers where every thread has a processor, slower ones where they share one."""

THREAD_IDLE_SECONDS = 0.2
"""Seconds without a call after which a thread ends; to start another takes about 0.1 ms. Larger:
a process keeps threads longer after a fit."""

BELL_SECONDS = 0.05
"""Seconds between two looks at a call that runs elsewhere, should its signal be lost. Larger: a
lost one costs more."""

LINGER_SECONDS = 0.02
"""Seconds for which a caller counts as busy after a run, since a fit is many runs. Larger: other
fits get fewer threads, for longer, after one has ended."""

CALLERS_REMEMBERED = 64
"""Callers from which those that are no longer busy are forgotten. Larger: more memory."""

QUOTA_SECONDS = 1.0
"""Seconds for which a container's quota is believed; asking takes 0.05 to 0.3 ms. Larger: a change
is noticed later."""

# Interruption -----------------------------------------------------------------------------------

CALL_SECONDS = 0.05
"""Seconds of a call of native code, after which Python looks at signals. Larger: Ctrl-C waits
longer, and calls cost less."""

HELD_BACK_SECONDS = 0.01
"""Seconds of a call while a reader needs a processor, as timed on all threads. Larger: that it is
done is noticed later."""

LONG_SECONDS = 0.1
"""Seconds of a single step from which the calling thread waits for others that work, so that Ctrl-C
need not. Larger: Ctrl-C waits longer."""

SLOWEST_OPERATIONS = 1e10
"""Operations a second that a thread of any machine manages, by which a first call is estimated.
Larger: first calls are thought shorter."""

PIECE_WORK = 1 << 29
"""Operations between two looks whether to leave a batch: a few milliseconds. Larger: Ctrl-C waits
longer; smaller: looking costs time."""

SPARSE_PIECE_ROWS = 16
"""Sparse rows between two such looks, since there may be many entries in each."""

SHUFFLED_AT_ONCE = 1 << 20
"""Rows that are shuffled in one call, which Ctrl-C cannot interrupt."""

COPIED_AT_ONCE = 64
"""Columns of a transposed copy that Python makes between two looks at signals: some cache lines of
each row. Larger: the lines of a row leave the cache before they are full."""

# Products ---------------------------------------------------------------------------------------

TILE_32_REGISTERS = {"vectors": (4, 2, 1), "rows": (6, 8, 8), "unroll": (4, 2, 2), "rest": (4, 1)}
"""Register tiles where there are 32 vector registers: widths in vectors, for each width the rows of
its main tile and the steps of k in an iteration; and heights for the rows that are left over. A
tile has rows * vectors sums. More: fewer loads for each multiplication, until registers spill."""

TILE_16_REGISTERS = {"vectors": (2, 1), "rows": (6, 10), "unroll": (4, 2), "rest": (4, 1)}
"""The same where there are 16."""

TILE_SINGLE_ROW = {
    "vectors": (8, 4, 2, 1),
    "rows": (1, 1, 1, 1),
    "unroll": (1, 1, 1, 1),
    "rest": (1,),
}
"""The same for programs of one row, where only width gives independent sums."""

TILE_COLUMN_SUM = {"vectors": (4, 2, 1), "rows": (1, 1, 1), "unroll": (1, 1, 1), "rest": (1,)}
"""The same for sums of columns: several vectors side by side hide the latency of an addition."""

PANEL_COLUMNS = 64
"""Columns of a panel of the first layer's weights, which the widest tiles of any processor divide.
Larger: fewer, longer stretches of memory, and coarser parts for threads."""

PANEL_PADDING = 1 / 4
"""The most columns of padding, as a fraction of the layer's, for which weights lie in panels.
Larger: more networks have panels, and more memory."""

PREFETCH_BYTES = 1 << 20
"""Bytes of a network's weights and their optimiser's state above which an update prefetches what
the next one reads. Below, a near cache holds them, and asking costs time. Larger: only larger
networks prefetch."""

KERNEL_FRACTION = 1 / 8
"""The fraction of all updates from which a layer with few units sums its gradients in short
vectors. Larger: fewer kernels to compile, more lanes that divide for nothing."""

SPARSE_HELD_VECTORS = 8
"""Vectors of sums that stay in registers while the entries of a sparse row are read. Larger: fewer
readings of the entries, until registers spill."""

# Rows and buffers -------------------------------------------------------------------------------

ROWS_IN_LANES_COLUMNS = 10
"""The most classes of a loss that has a row in each lane. Each is written out. Larger: more code to
compile."""

STRAIGHT_VECTORS = 4
"""The most vectors of a row in a loss that is written without loops. Larger: more code."""

SHORT_ROW_LINES = 3
"""The most cache lines of a row that is prefetched into the first cache; a longer one goes into the
second, which can wait for more lines at once."""

ROWS_AHEAD = {"short": 8, "long": 4}
"""How many rows ahead a gather prefetches. Larger: time for slower memory, and more lines that are
waited for at once."""

PREFETCHED_LINES = 128
"""The most lines of a row that are prefetched; the processor itself foresees the rest of it."""

STAGGER = 2560
"""Bytes from where a buffer begins in its page to where the next one does, so that buffers do not
share sets of the first cache; `benchmarks/placement.py` measures it. 2560 visits 8 places in a page
before it comes back to the first."""

PASS_ROWS = 256
"""Rows of a block in a pass that learns nothing, for each thread: enough to fill tiles, few enough
for a cache. Larger: fewer barriers, more memory."""

IDLE_INSTANCES = 8
"""Programs whose buffers are kept for later calls. Larger: more memory, fewer allocations."""

UNLOCKING_WORK = 2_000_000
"""Operations from which on a call for rows releases the interpreter's lock, which takes other
threads up to 5 ms to give back. Larger: rows of larger networks keep all other threads waiting."""
