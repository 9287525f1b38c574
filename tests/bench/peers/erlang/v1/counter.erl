%% Version 1 of a counter.
-module(counter).
-vsn(1).
-behaviour(gen_server).
-export([init/1, handle_call/3, handle_cast/2, code_change/3]).

-record(state, {count, pairs}).

init([]) -> {ok, #state{count = 0, pairs = [{N, N * N} || N <- lists:seq(1, 10)]}}.

handle_call(version, _, State) -> {reply, 1, State};
handle_call(add, _, State = #state{count = Count}) -> {reply, Count + 1, State#state{count = Count + 1}}.

handle_cast(bump, State = #state{count = Count}) -> {noreply, State#state{count = Count + 1}}.

code_change(_, State, _) -> {ok, State}.
