%% Workloads of the bench's README.md in Erlang/OTP. Prints `<metric> <value> <unit>` a line.
%% bench:main([Workload, Divisor, Folder]): a Divisor of 10 does a tenth of the work; Folder has
%% the compiled versions of `counter` in v1 and v2.
-module(bench).
-export([main/1, ponger/0, counter/0]).

main([Workload, Divisor, Folder]) ->
    run(Workload, list_to_integer(Divisor), Folder),
    halt(0).

run("local_pingpong", Divisor, _) ->
    Ponger = spawn(fun ponger/0),
    ping(Ponger, 50000 div Divisor),
    Count = 1000000 div Divisor,
    Micros = timed(fun() -> ping(Ponger, Count) end),
    per_second("local_pingpong", Count, Micros);
run("local_call", Divisor, _) ->
    Counter = spawn(fun() -> adder(0) end),
    Count = 500000 div Divisor,
    per_second("local_call", Count, timed(fun() -> calls(Counter, Count) end));
run("local_fanin", Divisor, _) ->
    Each = 1000000 div Divisor,
    Message = binary:copy(<<7>>, 64),
    Me = self(),
    Micros = timed(fun() ->
        [spawn(fun() -> stream(Me, Message, Each) end) || _ <- lists:seq(1, 4)],
        received(4 * Each)
    end),
    per_second("local_fanin", 4 * Each, Micros);
run("ring", Divisor, _) ->
    Hops = 1000 * (1000 div Divisor),
    Next = lists:foldl(fun(_, To) -> spawn(fun() -> member(To) end) end, self(), lists:seq(2, 1000)),
    per_second("ring", Hops, timed(fun() -> laps(Next, Hops) end));
run("spawn_rate", Divisor, _) ->
    Batches = 1000 div Divisor,
    Me = self(),
    Batch = fun(_) ->
        [spawn(fun() -> Me ! done end) || _ <- lists:seq(1, 1000)],
        [receive done -> ok end || _ <- lists:seq(1, 1000)]
    end,
    per_second("spawn_rate", 1000 * Batches, timed(fun() -> lists:foreach(Batch, lists:seq(1, Batches)) end));
run("spawn_monitor_rate", Divisor, _) ->
    Batches = 1000 div Divisor,
    Batch = fun(_) ->
        [spawn_monitor(fun() -> ok end) || _ <- lists:seq(1, 1000)],
        [receive {'DOWN', _, process, _, normal} -> ok end || _ <- lists:seq(1, 1000)]
    end,
    per_second("spawn_monitor_rate", 1000 * Batches,
               timed(fun() -> lists:foreach(Batch, lists:seq(1, Batches)) end));
run("process_memory", Divisor, _) ->
    Count = 1000000 div Divisor,
    Before = resident(),
    Pids = [spawn(fun() -> holder(N) end) || N <- lists:seq(1, Count)],
    _ = [begin Pid ! {self(), held}, receive {held, _} -> ok end end || Pid <- Pids],
    print("process_memory", (resident() - Before) / length(Pids), "B");
run("node_down_detection", _, Folder) ->
    Node = peer(Folder),
    Far = spawn(Node, ?MODULE, ponger, []),
    Ref = monitor(process, Far),
    OsPid = rpc:call(Node, os, getpid, []),
    %% A shell that is there already, so that its start is not measured.
    Shell = open_port({spawn, "sh"}, []),
    timer:sleep(300),
    Micros = timed(fun() ->
        port_command(Shell, ["kill -KILL ", OsPid, "\n"]),
        receive {'DOWN', Ref, process, Far, _} -> ok end
    end),
    print("node_down_detection", Micros / 1000, "ms");
run("remote_stream_64KiB", Divisor, Folder) -> blocks("remote_stream_64KiB", 65536, Divisor, Folder);
run("remote_stream_1MiB", Divisor, Folder) -> blocks("remote_stream_1MiB", 1048576, Divisor, Folder);
run("remote_pingpong", Divisor, Folder) ->
    Ponger = spawn(peer(Folder), ?MODULE, ponger, []),
    ping(Ponger, 10000 div Divisor),
    Count = 100000 div Divisor,
    Nanos = lists:sort(round_trips(Ponger, Count, [])),
    print("remote_pingpong_rtt_median", lists:nth(Count div 2, Nanos) / 1000, "us"),
    print("remote_pingpong_rtt_p99", lists:nth(Count * 99 div 100, Nanos) / 1000, "us"),
    per_second("remote_pingpong_rate", Count, lists:sum(Nanos) / 1000);
run("remote_stream_64B", Divisor, Folder) ->
    Counter = spawn(peer(Folder), ?MODULE, counter, []),
    Count = 2000000 div Divisor,
    Message = binary:copy(<<7>>, 64),
    Micros = timed(fun() ->
        Counter ! {start, self(), Count},
        stream(Counter, Message, Count),
        receive {done, Count} -> ok end
    end),
    per_second("remote_stream_64B", Count, Micros);
run("upgrade_one", _, Folder) ->
    {Pids, Code} = records(1, Folder),
    Caller = spawn_link(fun() -> caller(Pids) end),
    {Pause, Gap, Baseline} = watched(Caller, fun() -> upgrade(Pids, Code) end),
    ended(Caller),
    2 = gen_server:call(element(1, Pids), version),
    print("upgrade_one_pause", Pause, "us"),
    print("upgrade_one_client_gap", Gap / 1000, "us"),
    print("upgrade_one_client_gap_baseline", Baseline / 1000, "us");
run("upgrade_10k", Divisor, Folder) -> upgrade_many("upgrade_10k", 10000 div Divisor, Folder);
run("upgrade_100k", Divisor, Folder) -> upgrade_many("upgrade_100k", 100000 div Divisor, Folder).

blocks(Name, Len, Divisor, Folder) ->
    Counter = spawn(peer(Folder), ?MODULE, counter, []),
    Count = (1 bsl 30) div Divisor div Len,
    Message = binary:copy(<<7>>, Len),
    Micros = timed(fun() ->
        Counter ! {start, self(), Count},
        stream(Counter, Message, Count),
        receive {done, Count} -> ok end
    end),
    print(Name, Count * Len / Micros, "MB_per_s").

upgrade_many(Name, Count, Folder) ->
    {Pids, Code} = records(Count, Folder),
    Caller = spawn_link(fun() -> caller(Pids) end),
    Caster = spawn_link(fun() -> caster(Pids, 0) end),
    {Micros, Gap, Baseline} = watched(Caller, fun() -> upgrade(Pids, Code) end),
    Made = ended(Caller) + ended(Caster),
    Counted = lists:sum([gen_server:call(Pid, add, infinity) - 1 || Pid <- tuple_to_list(Pids)]),
    per_second(Name ++ "_rate", Count, Micros),
    print(Name ++ "_lost", Made - Counted, "messages"),
    print(Name ++ "_client_gap", Gap / 1000, "us"),
    print(Name ++ "_client_gap_baseline", Baseline / 1000, "us").

%% Processes of version 1, and the code of version 2.
records(Count, Folder) ->
    true = code:add_patha(filename:join(Folder, "v1")),
    {ok, Code} = file:read_file(filename:join(Folder, "v2/counter.beam")),
    Start = fun(_) -> {ok, Pid} = gen_server:start(counter, [], []), Pid end,
    {list_to_tuple(lists:map(Start, lists:seq(1, Count))), Code}.

%% As OTP's release handler does it: all stand still while the code is replaced, since a process
%% that went on would have the new code and the old state. The work is shared by the schedulers.
upgrade(Pids, Code) ->
    each(Pids, fun(Pid) -> ok = sys:suspend(Pid, infinity) end),
    {module, counter} = code:load_binary(counter, "counter.beam", Code),
    each(Pids, fun(Pid) -> ok = sys:change_code(Pid, counter, 1, [], infinity) end),
    each(Pids, fun(Pid) -> ok = sys:resume(Pid, infinity) end).

each(Pids, Do) when tuple_size(Pids) == 1 -> Do(element(1, Pids));
each(Pids, Do) ->
    Step = erlang:system_info(schedulers_online),
    Part = fun(First) -> [Do(element(N, Pids)) || N <- lists:seq(First, tuple_size(Pids), Step)] end,
    Workers = [spawn_monitor(fun() -> Part(First) end) || First <- lists:seq(1, Step)],
    [receive {'DOWN', Ref, process, Pid, normal} -> ok end || {Pid, Ref} <- Workers].

%% Microseconds that Work took, and the longest gaps a caller saw in a window around it and in one
%% of the same length after it.
watched(Caller, Work) ->
    timer:sleep(500),
    gap(Caller),
    Micros = timed(Work),
    Window = max(500, trunc(Micros / 1000) + 100),
    timer:sleep(Window - trunc(Micros / 1000)),
    Gap = gap(Caller),
    timer:sleep(Window),
    {Micros, Gap, gap(Caller)}.

gap(Caller) -> Caller ! {gap, self()}, receive {gap, Nanos} -> Nanos end.
ended(Client) -> Client ! {stop, self()}, receive {made, Count} -> Count end.

%% Another OS process, on which this module is loaded.
peer(Folder) ->
    {ok, _, Node} = peer:start(#{name => peer:random_name(), host => "localhost",
                                 args => ["-setcookie", "bench", "-pa", Folder]}),
    Node.

ponger() ->
    receive {ping, From, N} -> From ! {pong, N}, ponger() end.

ping(_, 0) -> ok;
ping(Ponger, N) ->
    Ponger ! {ping, self(), N},
    receive {pong, N} -> ping(Ponger, N - 1) end.

adder(Sum) ->
    receive {add, From, Ref, Amount} -> From ! {Ref, Sum + Amount}, adder(Sum + Amount) end.

calls(_, 0) -> ok;
calls(Counter, N) ->
    Ref = make_ref(),
    Counter ! {add, self(), Ref, 1},
    receive {Ref, _} -> calls(Counter, N - 1) end.

received(0) -> ok;
received(Left) -> receive Message when is_binary(Message) -> received(Left - 1) end.

member(To) -> receive {token, Left} -> To ! {token, Left - 1}, member(To) end.

laps(_, 0) -> ok;
laps(Next, Left) ->
    Next ! {token, Left - 1},
    receive {token, Now} -> laps(Next, Now) end.

holder(Held) -> receive {From, held} -> From ! {held, Held}, holder(Held) end.

%% Resident bytes of this OS process.
resident() ->
    {ok, Status} = file:read_file("/proc/self/status"),
    {match, [KiB]} = re:run(Status, "VmRSS:\\s+(\\d+)", [{capture, all_but_first, list}]),
    list_to_integer(KiB) * 1024.

round_trips(_, 0, Nanos) -> Nanos;
round_trips(Ponger, N, Nanos) ->
    Began = erlang:monotonic_time(nanosecond),
    Ponger ! {ping, self(), N},
    receive {pong, N} -> ok end,
    round_trips(Ponger, N - 1, [erlang:monotonic_time(nanosecond) - Began | Nanos]).

counter() ->
    receive {start, From, Count} -> count(From, Count, Count) end.

count(From, Count, 0) -> From ! {done, Count}, counter();
count(From, Count, Left) ->
    receive Message when is_binary(Message) -> count(From, Count, Left - 1) end.

stream(_, _, 0) -> ok;
stream(To, Message, N) -> To ! Message, stream(To, Message, N - 1).

%% Calls processes chosen by chance without pause; knows the longest time between two replies.
caller(Pids) -> caller(Pids, erlang:monotonic_time(nanosecond), 0, 0).

caller(Pids, Last, Longest, Made) ->
    _ = gen_server:call(chosen(Pids), add, infinity),
    Now = erlang:monotonic_time(nanosecond),
    Gap = max(Longest, Now - Last),
    receive
        {gap, To} -> To ! {gap, Gap}, caller(Pids, Now, 0, Made + 1);
        {stop, To} -> To ! {made, Made + 1}
    after 0 -> caller(Pids, Now, Gap, Made + 1)
    end.

%% Sends 100 messages to processes chosen by chance about every millisecond.
caster(Pids, Made) ->
    [gen_server:cast(chosen(Pids), bump) || _ <- lists:seq(1, 100)],
    receive {stop, To} -> To ! {made, Made + 100}
    after 1 -> caster(Pids, Made + 100)
    end.

chosen(Pids) -> element(rand:uniform(tuple_size(Pids)), Pids).

timed(Work) ->
    Began = erlang:monotonic_time(nanosecond),
    Work(),
    (erlang:monotonic_time(nanosecond) - Began) / 1000.

per_second(Metric, Count, Micros) -> print(Metric, Count * 1000000 / Micros, "per_s").

print(Metric, Value, Unit) -> io:format("~s ~.3f ~s~n", [Metric, float(Value), Unit]).
