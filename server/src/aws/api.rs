//! Every AWS operation that Gantry calls, with the budget that AWS documents for it. Owns names and numbers;
//! [`super::rate`] spends them. Operations that AWS counts together share one bucket.

use std::{fmt, str::FromStr};

/// What an account may call: a bucket of `burst` tokens that fills by `per_second`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    pub burst: u32,
    pub per_second: u32,
}

/// Who asks for a call. Callers of one kind wait in order; the kinds take turns, by weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// Somebody who waits for a page or an answer.
    Person,
    /// The outbox: what was promised to somebody.
    Dispatcher,
    /// Histories, events, telemetry, manifests.
    Tracker,
    /// What asks again to be sure.
    Reconciler,
}

impl Caller {
    pub const ALL: [Caller; 4] = [
        Caller::Person,
        Caller::Dispatcher,
        Caller::Tracker,
        Caller::Reconciler,
    ];

    /// How many turns it has for each one of the reconciler's, while both wait.
    pub(super) fn weight(self) -> u32 {
        match self {
            Caller::Person => 8,
            Caller::Dispatcher => 4,
            Caller::Tracker => 2,
            Caller::Reconciler => 1,
        }
    }

    /// As in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Caller::Person => "person",
            Caller::Dispatcher => "dispatcher",
            Caller::Tracker => "tracker",
            Caller::Reconciler => "reconciler",
        }
    }
}

macro_rules! apis {
    ($($name:ident $service:literal $bucket:ident $burst:literal / $per_second:literal
        $(elsewhere $burst_elsewhere:literal / $per_second_elsewhere:literal)?;)*) => {
        /// An operation, by AWS's name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Api { $($name),* }

        impl Api {
            /// All of them; [`Api::index`] is the place in it.
            pub const ALL: &[Api] = &[$(Api::$name),*];

            /// AWS's name for it.
            pub fn name(self) -> &'static str {
                match self { $(Api::$name => stringify!($name)),* }
            }

            /// The service, as people call it.
            pub fn service(self) -> &'static str {
                match self { $(Api::$name => $service),* }
            }

            /// The operation whose bucket it draws from: mostly itself.
            pub(super) fn bucket(self) -> Api {
                match self { $(Api::$name => Api::$bucket),* }
            }

            /// The default budget of a bucket in a region.
            pub(super) fn budget(self, region: &str) -> Budget {
                let is_large = LARGE_REGIONS.contains(&region);
                match self {
                    $(Api::$name => {
                        let (burst, per_second) = ($burst, $per_second);
                        $(let (burst, per_second) = if is_large { (burst, per_second) } else {
                            ($burst_elsewhere, $per_second_elsewhere)
                        };)?
                        let _ = is_large;
                        Budget { burst, per_second }
                    }),*
                }
            }
        }
    };
}

/// The regions to which Step Functions gives more than to others.
const LARGE_REGIONS: [&str; 3] = ["us-east-1", "us-west-2", "eu-west-1"];

// Step Functions: <https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html>
// S3, each prefix: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance.html>
// Lambda, all but GetFunction together:
// <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html#api-requests>
// Kinesis (GetRecords and GetShardIterator five a second for each shard, which the reader's own pace keeps):
// <https://docs.aws.amazon.com/streams/latest/dev/service-sizes-and-limits.html>
// ECR: <https://docs.aws.amazon.com/AmazonECR/latest/userguide/service-quotas.html>, which leaves out
// DescribeImages; SQS has no quota of calls on a standard queue. Where AWS names none, the number bounds a fault
// of ours.
apis! {
    StartExecution "Step Functions" StartExecution 1_300 / 300 elsewhere 800 / 150;
    RedriveExecution "Step Functions" RedriveExecution 1_300 / 300 elsewhere 800 / 150;
    StopExecution "Step Functions" StopExecution 1_000 / 200 elsewhere 500 / 25;
    DescribeExecution "Step Functions" DescribeExecution 300 / 15 elsewhere 250 / 10;
    DescribeStateMachineForExecution "Step Functions" DescribeStateMachineForExecution 200 / 1;
    ListExecutions "Step Functions" ListExecutions 200 / 5 elsewhere 100 / 2;
    GetExecutionHistory "Step Functions" GetExecutionHistory 400 / 20;
    ReceiveMessage "SQS" ReceiveMessage 1_000 / 1_000;
    DeleteMessageBatch "SQS" DeleteMessageBatch 1_000 / 1_000;
    GetQueueAttributes "SQS" GetQueueAttributes 10 / 5;
    ListShards "Kinesis" ListShards 100 / 10;
    GetShardIterator "Kinesis" GetShardIterator 1_000 / 500;
    GetRecords "Kinesis" GetRecords 1_000 / 500;
    GetObject "S3" GetObject 5_500 / 5_500;
    ListObjectsV2 "S3" GetObject 5_500 / 5_500;
    PutObject "S3" CreateMultipartUpload 3_500 / 3_500;
    CreateMultipartUpload "S3" CreateMultipartUpload 3_500 / 3_500;
    UploadPart "S3" UploadPart 3_500 / 3_500;
    CompleteMultipartUpload "S3" CompleteMultipartUpload 3_500 / 3_500;
    AbortMultipartUpload "S3" AbortMultipartUpload 3_500 / 3_500;
    DeleteObject "S3" DeleteObject 3_500 / 3_500;
    GetFunction "Lambda" GetFunction 100 / 100;
    ListFunctions "Lambda" ListFunctions 15 / 15;
    ListVersionsByFunction "Lambda" ListFunctions 15 / 15;
    ListAliases "Lambda" ListFunctions 15 / 15;
    DescribeImages "ECR" DescribeImages 20 / 10;
    BatchGetImage "ECR" BatchGetImage 2_000 / 2_000;
    GetDownloadUrlForLayer "ECR" GetDownloadUrlForLayer 3_000 / 3_000;
}

impl Api {
    pub(super) fn index(self) -> usize {
        self as usize
    }

    /// Whether it is called because a job runs, and not because time passes or somebody looks at images.
    pub(super) fn is_for_jobs(self) -> bool {
        matches!(
            self,
            Api::StartExecution
                | Api::RedriveExecution
                | Api::StopExecution
                | Api::DescribeExecution
                | Api::DescribeStateMachineForExecution
                | Api::GetExecutionHistory
                | Api::DeleteMessageBatch
                | Api::GetObject
        )
    }
}

impl fmt::Display for Api {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// A budget that is not the default, as an account with raised quotas has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RaisedQuota {
    pub api: Api,
    pub budget: Budget,
}

/// What one entry of `GANTRY_AWS_RATES` must look like.
pub const RATES_WANTED: &str = "a comma-separated list of an operation, its bucket's size and its refill a second, \
     both whole numbers from 1 on, such as StartExecution=2600/600,DescribeExecution=600/30";

impl FromStr for RaisedQuota {
    type Err = ();

    fn from_str(text: &str) -> Result<RaisedQuota, ()> {
        let (name, numbers) = text.split_once('=').ok_or(())?;
        let (burst, per_second) = numbers.split_once('/').ok_or(())?;
        let api = Api::ALL
            .iter()
            .find(|api| api.name() == name.trim())
            .ok_or(())?;
        let number = |text: &str| text.trim().parse().ok().filter(|number: &u32| *number > 0);
        Ok(RaisedQuota {
            api: api.bucket(),
            budget: Budget {
                burst: number(burst).ok_or(())?,
                per_second: number(per_second).ok_or(())?,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_has_the_budget_that_aws_documents() {
        let budget = |api: Api, region| {
            let Budget { burst, per_second } = api.budget(region);
            (burst, per_second)
        };
        assert_eq!(budget(Api::StopExecution, "us-east-1"), (1_000, 200));
        assert_eq!(budget(Api::StopExecution, "eu-central-1"), (500, 25));
        assert_eq!(budget(Api::GetExecutionHistory, "eu-central-1"), (400, 20));
    }

    #[test]
    fn a_raised_quota_is_read_and_nonsense_is_not() {
        let raised: RaisedQuota = "StartExecution = 2600/600".parse().unwrap();
        assert_eq!(raised.api, Api::StartExecution);
        assert_eq!(
            (raised.budget.burst, raised.budget.per_second),
            (2_600, 600)
        );
        // One bucket for all that Lambda counts together.
        let raised: RaisedQuota = "ListAliases=30/30".parse().unwrap();
        assert_eq!(raised.api, Api::ListFunctions);
        for wrong in [
            "StartExecution",
            "Start=1/1",
            "StartExecution=0/1",
            "StartExecution=5",
            "",
        ] {
            assert!(wrong.parse::<RaisedQuota>().is_err(), "{wrong}");
        }
    }
}
