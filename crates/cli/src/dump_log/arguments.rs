use clap::Args;

/// The flags of kafka-dump-log.sh.
#[derive(Debug, Clone, Default, Args)]
pub struct DumpLogArguments {
    /// The files, with commas between: .log, .index, .timeindex, .txnindex, .snapshot, leader-epoch-checkpoint.
    #[arg(long, value_name = "FILES")]
    pub files: String,
    /// Print what the records say; a decoder sets it, too.
    #[arg(long)]
    pub print_data_log: bool,
    /// Look at each record, not at batches only; printing what they say sets it, too.
    #[arg(long)]
    pub deep_iteration: bool,
    /// Check indexes against the log without printing them.
    #[arg(long)]
    pub verify_index_only: bool,
    /// Only check of indexes what a broker checks when it starts.
    #[arg(long)]
    pub index_sanity_check: bool,
    /// The largest batch, in bytes, that an index may point to.
    #[arg(long, value_name = "BYTES", default_value_t = 5 << 20)]
    pub max_message_size: u32,
    /// Read so many bytes of each .log at most.
    #[arg(long, value_name = "BYTES", default_value_t = i32::MAX as u32, hide_default_value = true)]
    pub max_bytes: u32,
    /// Print of records only what they say.
    #[arg(long)]
    pub skip_record_metadata: bool,
    /// How values are shown: Kafka's StringDecoder (the default), IntegerDecoder or LongDecoder.
    #[arg(long, value_name = "CLASS", num_args = 0..=1, default_missing_value = "StringDecoder")]
    pub value_decoder_class: Option<String>,
    /// How keys are shown.
    #[arg(long, value_name = "CLASS", num_args = 0..=1, default_missing_value = "StringDecoder")]
    pub key_decoder_class: Option<String>,
    /// Show records as those of __consumer_offsets.
    #[arg(long)]
    pub offsets_decoder: bool,
    /// Show records as those of Kafka's __transaction_state.
    #[arg(long)]
    pub transaction_log_decoder: bool,
    /// Show records as those of Kafka's __cluster_metadata, its snapshots included; Raftsman keeps its own elsewhere.
    #[arg(long)]
    pub cluster_metadata_decoder: bool,
    /// Kafka's, for __remote_log_metadata; not possible here.
    #[arg(long)]
    pub remote_log_metadata_decoder: bool,
    /// Show records as those of Kafka's __share_group_state.
    #[arg(long)]
    pub share_group_state_decoder: bool,
}

impl DumpLogArguments {
    /// Each file.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.files.split(',')
    }

    /// Whether to print what records say.
    pub fn prints_contents(&self) -> bool {
        self.print_data_log
            || self.offsets_decoder
            || self.transaction_log_decoder
            || self.cluster_metadata_decoder
            || self.remote_log_metadata_decoder
            || self.share_group_state_decoder
            || self.value_decoder_class.is_some()
            || self.key_decoder_class.is_some()
    }

    /// Whether to look at each record.
    pub fn is_deep(&self) -> bool {
        self.deep_iteration || self.prints_contents()
    }

    /// Whether the whole of each file is wanted.
    pub fn is_unlimited(&self) -> bool {
        self.max_bytes >= i32::MAX as u32
    }
}
