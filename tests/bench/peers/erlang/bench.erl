%% The workloads of reference/peers.md in Erlang/OTP. Prints `<metric> <value> <unit>` a line.
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
    true = code:add_patha(filename:join(Folder, "v1")),
    {ok, Counter} = gen_server:start(counter, [], []),
    {ok, Code} = file:read_file(filename:join(Folder, "v2/counter.beam")),
    Client = spawn_link(fun() -> client(Counter) end),
    timer:sleep(500),
    Pause = timed(fun() ->
        ok = sys:suspend(Counter),
        {module, counter} = code:load_binary(counter, "counter.beam", Code),
        ok = sys:change_code(Counter, counter, 1, []),
        ok = sys:resume(Counter)
    end),
    timer:sleep(500),
    2 = gen_server:call(Counter, version),
    Client ! {longest_gap, self()},
    Gap = receive {longest_gap, Nanos} -> Nanos end,
    print("upgrade_one_pause", Pause / 1000, "ms"),
    print("upgrade_one_client_gap", Gap / 1000000, "ms").

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
    receive <<_:64/binary>> -> count(From, Count, Left - 1) end.

stream(_, _, 0) -> ok;
stream(To, Message, N) -> To ! Message, stream(To, Message, N - 1).

%% Calls without pause; knows the longest time between two replies.
client(Counter) ->
    client(Counter, erlang:monotonic_time(nanosecond), 0).

client(Counter, Last, Longest) ->
    _ = gen_server:call(Counter, add, infinity),
    Now = erlang:monotonic_time(nanosecond),
    Gap = max(Longest, Now - Last),
    receive
        {longest_gap, To} -> To ! {longest_gap, Gap}
    after 0 -> client(Counter, Now, Gap)
    end.

timed(Work) ->
    Began = erlang:monotonic_time(nanosecond),
    Work(),
    (erlang:monotonic_time(nanosecond) - Began) / 1000.

per_second(Metric, Count, Micros) -> print(Metric, Count * 1000000 / Micros, "per_s").

print(Metric, Value, Unit) -> io:format("~s ~.3f ~s~n", [Metric, float(Value), Unit]).
