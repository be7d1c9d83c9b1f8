//! Every step on real media: ffmpeg, an S3 in this process, and sources that misbehave.

mod clip;
mod run;
mod server;
mod storage;

mod copying;
mod making;
mod refusing;
