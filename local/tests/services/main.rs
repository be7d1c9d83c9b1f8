//! Every service, over plain HTTP as AWS's clients speak it.

mod aws;
mod callbacks;
mod command_line;
mod crash;
mod elsewhere;
mod execution_logs;
mod executions;
mod express;
mod express_children;
mod image;
mod integrations;
mod jsonata;
mod lambda;
mod logs;
mod machines;
mod map_runs;
mod queues;
mod registry;
mod resharding;
mod resting;
mod s3;
mod single_states;
mod states;
mod streams;
mod versions;
