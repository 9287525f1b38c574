%% Version 2 of a counter; its state is a map, which version 1's record is converted to.
-module(counter).
-vsn(2).
-behaviour(gen_server).
-export([init/1, handle_call/3, handle_cast/2, code_change/3]).

init([]) -> {ok, #{count => 0, pairs => #{}}}.

handle_call(version, _, State) -> {reply, 2, State};
handle_call(add, _, State = #{count := Count}) -> {reply, Count + 1, State#{count := Count + 1}}.

handle_cast(bump, State = #{count := Count}) -> {noreply, State#{count := Count + 1}}.

code_change(_, {state, Count, Pairs}, _) -> {ok, #{count => Count, pairs => maps:from_list(Pairs)}}.
