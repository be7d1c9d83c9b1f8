//! S3, ECR with its registry, Lambda, Logs and CloudWatch, over plain HTTP as AWS's clients speak it.

mod aws;
mod command_line;
mod image;
mod lambda;
mod logs;
mod registry;
mod s3;
